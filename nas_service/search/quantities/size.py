"""Bytes of the file that ships."""

from __future__ import annotations

from collections.abc import Sequence

from nas_service.search.cost import StructureModel
from nas_service.search.quantities.base import MeasuredFile, Priced, Quantity
from nas_service.space.base import FloatArray, IntArray


class Size(Quantity):
    """Weights in their precision, and about what a graph adds for each block."""

    name = "size_bytes"
    label = "size"

    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """See `Quantity.estimate`."""
        return priced.model(StructureModel)(architectures).size_bytes(priced.deployment)

    def measure(self, files: Sequence[MeasuredFile]) -> list[float | None]:
        """See `Quantity.measure`."""
        return [float(one.path.stat().st_size) if one.as_shipped else None for one in files]

    def text(self, value: float) -> str:
        """See `Quantity.text`."""
        return bytes_text(value)


def bytes_text(value: float) -> str:
    """Bytes in kB or MB, of a thousand each."""
    return f"{value / 1e6:.2f} MB" if value >= 1e6 else f"{value / 1e3:.1f} kB"
