"""The end of a network: 1x1 convolution to `mid_channels`, ReLU, global average pool, linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.image import ImageBlock, convolution_shapes, kept_channels, wide


@dataclass(frozen=True, order=False)
class VectorHeadBlock(ImageBlock):
    """What ends in a vector of `out_channels` numbers: they are what is asked for, and stay."""

    @property
    def out_height(self) -> int:
        """A head gives one row."""
        return 1

    @property
    def out_width(self) -> int:
        """And one column."""
        return 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.out_channels)

    def narrowed(self, width: float) -> Self:
        """See `Block.narrowed`."""
        return replace(super().narrowed(width), out_channels=self.out_channels)


def classify(graph: GraphBuilder, x: str) -> str:
    """Pool and linear layer."""
    pooled = graph.node("Flatten", [graph.node("GlobalAveragePool", [x])])
    return graph.node("Gemm", [pooled, "linear.weight", "linear.bias"], transB=1)


@dataclass(frozen=True, order=False)
class HeadBlock(VectorHeadBlock):
    """See the module's text."""

    kind = "head"
    shares_weights = True

    mid_channels: int = 0

    def layers(self) -> list[Layer]:
        """See `Block.layers`."""
        return [
            Layer(self.pixels_in, self.in_channels, self.mid_channels),
            Layer(1, self.mid_channels, self.out_channels, normalised=False),
        ]

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {
            **convolution_shapes("conv", self.mid_channels, self.in_channels),
            "linear.weight": (self.out_channels, self.mid_channels),
            "linear.bias": (self.out_channels,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        return classify(graph, graph.node("Relu", [graph.convolution(inputs[0], "conv")]))

    def small(self) -> Self:
        """See `Block.small`."""
        plain = super().small()
        return replace(plain, mid_channels=kept_channels(plain.in_channels, 1.0))

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`."""
        given = 0 if reads_sample else self.input_numbers
        return given + wide(self.mid_channels) * self.pixels_in

    def arena_numbers(self) -> int:
        """See `Block.arena_numbers`."""
        return (self.in_channels + self.mid_channels) * self.pixels_in

    @property
    def numbers_inside(self) -> int:
        """See `Block.numbers_inside`."""
        return 2 * self.mid_channels * self.pixels_in
