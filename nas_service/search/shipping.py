"""From accuracy under shared weights to that of the shipped file.

Fine-tuning raises accuracy, and raises low ones more; quantisation lowers it. What both do is
learned, a precision at a time, on a few probe networks that are no winners: a line through their
mean, its slope shrunk between zero and one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nas_service.space.base import FloatArray

PRIOR_SLOPE = 0.5
PRIOR_SPREAD = 0.02
"""A spread of probes of two points weighs as much as the prior does with one probe."""


@dataclass(frozen=True, slots=True)
class ShippingModel:
    """shipped = shipped_mean + slope * (shared - shared_mean), at most 1."""

    shared_mean: float = 0.0
    shipped_mean: float = 0.0
    slope: float = 1.0
    n_probes: int = 0

    def shipped(self, shared: FloatArray) -> FloatArray:
        """Accuracy of the shipped file: `(n,)`."""
        line = self.shipped_mean + self.slope * (shared - self.shared_mean)
        return np.clip(line, 0.0, 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ShippingModel:
        """The inverse of `as_dict`."""
        return cls(**values)


def fit_shipping(shared: FloatArray, shipped: FloatArray) -> ShippingModel:
    """Fit on probes: predicted accuracy under shared weights and measured shipped accuracy."""
    if not len(shared):
        return ShippingModel()
    centred = shared - shared.mean()
    weight = PRIOR_SPREAD**2
    slope = (centred @ (shipped - shipped.mean()) + PRIOR_SLOPE * weight) / (
        centred @ centred + weight
    )
    return ShippingModel(
        float(shared.mean()), float(shipped.mean()), float(np.clip(slope, 0.05, 1.0)), len(shared)
    )
