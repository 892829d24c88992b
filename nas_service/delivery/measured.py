"""One file as it was found on its target."""

from __future__ import annotations

from dataclasses import dataclass

from nas_service.recorded.parity import Parity
from nas_service.search.certificate import LATENCY
from nas_service.search.values import Measurements


@dataclass(frozen=True, slots=True)
class Measured:
    """What a file computes, and every quantity of it that something told.

    `accuracy` is the score of its outputs on `n_test` test samples by the metric that `metric`
    calls as people read it. `latency_error` is the relative standard error of the latency, `sha256`
    names the bytes. `not_in_precision` is what the file counts of itself, where none of it is in
    the precision that it claims.
    """

    precision: str
    accuracy: float
    measurements: Measurements
    stable: bool
    same: Parity
    n_test: int = 0
    accuracy_standard_error: float = 0.0
    metric: str = "accuracy"
    latency_error: float = 0.0
    sha256: str = ""
    not_in_precision: str = ""

    @property
    def latency_ms(self) -> float | None:
        """None where it was not measured."""
        return self.measurements.get(LATENCY)

    @property
    def size_bytes(self) -> float:
        """Of the file."""
        return self.measurements["size_bytes"]
