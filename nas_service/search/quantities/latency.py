"""Time of one run in ms."""

from __future__ import annotations

from collections.abc import Sequence

from nas_service.search.quantities.base import MeasuredFile, Priced, Quantity
from nas_service.space.base import FloatArray, IntArray


class Latency(Quantity):
    """From the tables of the deployment's target; what it is the time of says the search."""

    name = "latency_ms"
    label = "latency"
    on_device = True
    noisy = True

    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """See `Quantity.estimate`."""
        return priced.cost.latency_ms(architectures)

    def measure(self, files: Sequence[MeasuredFile]) -> list[float | None]:
        """See `Quantity.measure`."""
        return [one.latency_ms for one in files]

    def text(self, value: float) -> str:
        """See `Quantity.text`."""
        return f"{value:.4g} ms"
