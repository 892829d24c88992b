"""A quantity: flash for the file and memory for the run, together."""

from __future__ import annotations

from collections.abc import Sequence

from nas_service.search.quantities.base import MeasuredFile, Priced, Quantity
from nas_service.search.quantities.peak_memory import PeakMemory
from nas_service.search.quantities.size import Size, bytes_text
from nas_service.space.base import FloatArray, IntArray

PARTS = (Size(), PeakMemory())


class Footprint(Quantity):
    """Bytes of the file and of activations."""

    name = "footprint_bytes"
    label = "footprint"

    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        size, memory = (one.estimate(priced, architectures) for one in PARTS)
        return size + memory

    def measure(self, files: Sequence[MeasuredFile]) -> list[float | None]:
        parts = zip(*(one.measure(files) for one in PARTS), strict=True)
        return [None if None in both else sum(both) for both in parts]

    def text(self, value: float) -> str:
        return bytes_text(value)
