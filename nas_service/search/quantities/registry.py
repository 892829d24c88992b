"""Quantities by name, and names of quantities on devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from nas_service import plugins
from nas_service.errors import InvalidSpec
from nas_service.search.quantities.base import Quantity

WORST = "worst"
"""`NAME@worst` is the highest value over all devices of a search."""


@cache
def quantities() -> dict[str, Quantity]:
    """All of them by name; those that differ between devices first."""
    every = [plugins.load(plugins.QUANTITIES, name)() for name in plugins.names(plugins.QUANTITIES)]
    every.sort(key=lambda one: (not one.on_device, one.counted, one.name))
    return {one.name: one for one in every}


@dataclass(frozen=True, slots=True)
class QuantityAt:
    """A quantity on a device of a search: its own where `device` is empty, or `worst` of all."""

    quantity: Quantity
    device: str = ""

    @classmethod
    def parse(
        cls, name: str, also_devices: Sequence[str], *, field: str = "objectives"
    ) -> QuantityAt:
        """From `latency_ms`, `latency_ms@DEVICE` or `latency_ms@worst`, which `field` asks for.

        Raises:
            InvalidSpec: nothing gives that quantity; the known ones are listed.
        """
        metric, at, device = name.partition("@")
        if name not in (known := known_names(also_devices)):
            raise InvalidSpec(
                f"no cost source gives {name!r}; known: {', '.join(known)}",
                field=field,
                known_names=known,
            )
        return cls(quantities()[metric], device if at else "")


def known_names(also_devices: Sequence[str]) -> list[str]:
    """Every name that an objective or a limit of a search with these further devices can have."""
    at = [f"@{one}" for one in (*also_devices, WORST)] if also_devices else []
    return [
        f"{name}{one}"
        for name, quantity in quantities().items()
        for one in ("", *(at if quantity.on_device else ()))
    ]
