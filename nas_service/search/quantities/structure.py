"""What is counted from a network's sizes: multiply-accumulates and parameters."""

from __future__ import annotations

from nas_service.search.cost import StructureModel
from nas_service.search.quantities.base import Priced, Quantity
from nas_service.space.base import FloatArray, IntArray


class Macs(Quantity):
    """Multiply-accumulates of one run."""

    name = "macs"
    label = "MACs"
    counted = True

    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """See `Quantity.estimate`."""
        return priced.model(StructureModel)(architectures).macs

    def text(self, value: float) -> str:
        """See `Quantity.text`."""
        return f"{value / 1e6:.3g} M"


class Parameters(Quantity):
    """Parameters that are trained."""

    name = "parameters"
    label = "parameters"
    counted = True

    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """See `Quantity.estimate`."""
        return priced.model(StructureModel)(architectures).parameters

    def text(self, value: float) -> str:
        """See `Quantity.text`."""
        return f"{value / 1e3:.4g} k"
