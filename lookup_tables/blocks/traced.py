"""What families of traced operators share: pieces of a network that somebody brings.

Such a network is no list of known blocks. Its graph is cut at every operator, and each is priced by
itself, with the normalisation and activation that a runtime joins to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from lookup_tables.blocks.base import Block
from lookup_tables.blocks.image import kept_channels
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class TracedBlock(Block):
    """Sizes are whole numbers from 1 up, those named in `from_zero` from 0 up."""

    from_zero: ClassVar[frozenset[str]] = frozenset()
    channel_sizes: ClassVar[tuple[str, ...]] = ()
    """Sizes that uniform channel pruning makes smaller."""
    small_sizes: ClassVar[Mapping[str, int]] = {}
    """What the sizes are in a small block of the same operators."""
    told_apart: ClassVar[tuple[str, ...]] = ()
    """Sizes that are features as they are; of all others it is the logarithm."""

    def __post_init__(self) -> None:
        for name, value in self.sizes.items():
            least = 0 if name in self.from_zero else 1
            if value < least:
                raise LookupTableError(f"{name} of {self.kind} is {value}, must be >= {least}")

    def narrowed(self, width: float) -> Self:
        """See `Block.narrowed`."""
        if width >= 1.0:
            return self
        kept = {name: kept_channels(self.sizes[name], width) for name in self.channel_sizes}
        return replace(self, **kept)

    def small(self) -> Self:
        """See `Block.small`."""
        return replace(self, **self.small_sizes)

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        told = {
            name: float(value) if name in self.told_apart else math.log(1.0 + value)
            for name, value in self.sizes.items()
        }
        return {**told, "log_work": math.log(1.0 + max(self.macs, self.moved_numbers))}
