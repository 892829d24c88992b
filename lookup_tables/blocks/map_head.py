"""What ends of networks that answer for places of a map share: their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from lookup_tables.blocks.base import Block
from lookup_tables.blocks.image import kept_channels
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class MapHeadBlock(Block):
    """Reads a square map of `channels`; answers for `classes` on one of `side` places a side."""

    channels: int
    size: int
    mid_channels: int
    classes: int
    side: int

    def __post_init__(self) -> None:
        for name, value in self.sizes.items():
            if value < 1:
                raise LookupTableError(f"{name} of a block is {value}, must be >= 1")

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.channels, self.size, self.size)}

    def narrowed(self, width: float) -> Self:
        """See `Block.narrowed`; the classes stay."""
        return replace(
            self,
            channels=kept_channels(self.channels, width),
            mid_channels=kept_channels(self.mid_channels, width),
        )
