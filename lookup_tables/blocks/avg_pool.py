"""A 3x3 average pool of stride 1, padding not counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.image import ImageBlock
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class AvgPoolBlock(ImageBlock):
    """See the module's text; it leaves as many channels as it reads."""

    kind = "avg_pool"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.in_channels != self.out_channels:
            raise LookupTableError("out_channels of a pool are its in_channels")

    @classmethod
    def of(cls, channels: int, height: int, width: int) -> AvgPoolBlock:
        """A pool over so many channels."""
        return cls(channels, channels, height, width)

    @property
    def own_sizes(self) -> Mapping[str, int]:
        """See `ImageBlock.own_sizes`; the kernel is the family's."""
        return {**super().own_sizes, "kernel": 3}

    def layers(self) -> list[Layer]:
        """See `Block.layers`: it multiplies nothing."""
        return []

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {}

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        return graph.node(
            "AveragePool",
            inputs,
            kernel_shape=[3, 3],
            strides=[1, 1],
            pads=[1, 1, 1, 1],
            count_include_pad=0,
        )
