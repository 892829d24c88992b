"""What is expected and what was measured, by the names of quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expected value, and what the measured one stays below with the limit's probability."""

    value: float
    upper: float

    def as_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return asdict(self)


Estimates = Mapping[str, Estimate]
"""By quantity, of one network in one deployment; what is not known is not there."""
Measurements = Mapping[str, float]
"""By quantity, of one file on its target; what was not measured is not there."""

_NAMED_BEFORE = {
    "latency_ms": ("predicted_latency_ms", "latency_upper_ms"),
    "size_bytes": ("size_bytes", "size_bytes"),
    "peak_memory_bytes": ("peak_memory_bytes", "peak_memory_bytes"),
    "macs": ("macs", "macs"),
    "parameters": ("parameters", "parameters"),
}
"""Where a stored candidate of earlier versions has what: estimate and bound."""


def estimates_of(stored: Mapping[str, Any]) -> dict[str, Estimate]:
    """The estimates of a stored candidate, of whatever version."""
    if "estimates" in stored:
        return {name: Estimate(**values) for name, values in stored["estimates"].items()}
    return {
        name: Estimate(float(stored[value]), float(stored[upper]))
        for name, (value, upper) in _NAMED_BEFORE.items()
        if value in stored
    }
