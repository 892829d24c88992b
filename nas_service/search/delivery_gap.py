"""From accuracy under shared weights to that of the shipped file.

Fine-tuning raises accuracy, raises low ones more, and gives large networks more than small ones;
quantisation lowers it. What both do is learned, a precision at a time, on a few probe networks
that are no winners: a plane over accuracy under shared weights and the logarithm of the MACs,
through the probes' mean, with its slopes shrunk as few points demand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nas_service.space.base import FloatArray

PRIOR_SLOPES = np.array([0.5, 0.0])
SHRINKAGE = np.array([7e-4, 0.6])
"""Noise of a probe's accuracy (0.8 points) over each slope's prior spread (0.3; 0.01), squared."""
MAX_SLOPES = np.array([1.0, 0.05])


@dataclass(frozen=True, slots=True)
class DeliveryGap:
    """delivered = mean + slope * (shared - mean) + slope * (log MACs - mean), no more than 1."""

    shared_mean: float = 0.0
    log_macs_mean: float = 0.0
    shipped_mean: float = 0.0
    accuracy_slope: float = 1.0
    log_macs_slope: float = 0.0
    n_probes: int = 0
    low: float | None = 0.0
    """The least that comes out; None where scores have no lowest value."""

    def shipped(self, shared: FloatArray, macs: FloatArray) -> FloatArray:
        """Accuracy of the shipped file from shared-weight accuracy and MACs: `(n,)`."""
        plane = (
            self.shipped_mean
            + self.accuracy_slope * (shared - self.shared_mean)
            + self.log_macs_slope * (np.log(macs) - self.log_macs_mean)
        )
        return np.clip(plane, -np.inf if self.low is None else self.low, 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DeliveryGap:
        """The inverse of `as_dict`."""
        return cls(**values)


def fit_delivery_gap(
    shared: FloatArray, macs: FloatArray, shipped: FloatArray, *, low: float | None = 0.0
) -> DeliveryGap:
    """Fit on probes: accuracy under shared weights, MACs, measured accuracy as shipped: `(n,)`."""
    if not len(shared):
        return DeliveryGap(low=low)
    log_macs = np.log(macs)
    inputs = np.column_stack([shared - shared.mean(), log_macs - log_macs.mean()])
    gram = inputs.T @ inputs + np.diag(SHRINKAGE)
    wanted = inputs.T @ (shipped - shipped.mean()) + SHRINKAGE * PRIOR_SLOPES
    slopes = np.clip(np.linalg.solve(gram, wanted), 0.0, MAX_SLOPES)
    return DeliveryGap(
        float(shared.mean()),
        float(log_macs.mean()),
        float(shipped.mean()),
        float(slopes[0]),
        float(slopes[1]),
        len(shared),
        low,
    )
