"""Energy of one run in mJ, where the device has a meter."""

from __future__ import annotations

from collections.abc import Sequence

from nas_service.search.quantities.base import MeasuredFile, Priced, Quantity
from nas_service.space.base import FloatArray, IntArray


class Energy(Quantity):
    """The sum over blocks, brought to whole networks by those that were measured."""

    name = "energy_mj"
    label = "energy"
    on_device = True
    noisy = True

    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """See `Quantity.estimate`."""
        return priced.cost.energy_mj(architectures)

    def known(self, priced: Priced) -> bool:
        """See `Quantity.known`."""
        return priced.cost.knows_energy

    def measure(self, files: Sequence[MeasuredFile]) -> list[float | None]:
        """See `Quantity.measure`."""
        return [one.timing.energy_mj for one in files]

    def text(self, value: float) -> str:
        """See `Quantity.text`."""
        return f"{value:.4g} mJ"
