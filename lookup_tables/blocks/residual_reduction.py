"""The reduction of NAS-Bench-201: two 3x3 convolutions beside a pooled 1x1, and their sum.

ReLU, convolution of stride 2, ReLU, convolution; beside it a 2x2 average pool and a 1x1 convolution
that is trained without bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.image import ImageBlock, convolution_shapes, wide


@dataclass(frozen=True, order=False)
class ResidualReductionBlock(ImageBlock):
    """See the module's text."""

    kind = "residual_reduction"

    @property
    def own_sizes(self) -> Mapping[str, int]:
        """See `ImageBlock.own_sizes`; kernel and stride are the family's."""
        return {**super().own_sizes, "kernel": 3, "stride": 2}

    @property
    def step(self) -> int:
        """See `ImageBlock.step`."""
        return 2

    def layers(self) -> list[Layer]:
        """See `Block.layers`."""
        pixels, inputs, outputs = self.pixels_out, self.in_channels, self.out_channels
        return [
            Layer(pixels, inputs, outputs, 9),
            Layer(pixels, outputs, outputs, 9),
            Layer(pixels, inputs, outputs, normalised=False, biased=False),
        ]

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {
            **convolution_shapes("first", self.out_channels, self.in_channels, 3),
            **convolution_shapes("second", self.out_channels, self.out_channels, 3),
            **convolution_shapes("shortcut", self.out_channels, self.in_channels),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        x = graph.convolution(graph.node("Relu", inputs), "first", kernel=3, stride=2)
        x = graph.convolution(graph.node("Relu", [x]), "second", kernel=3)
        pooled = graph.node(
            "AveragePool", inputs, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]
        )
        return graph.node("Add", [graph.convolution(pooled, "shortcut"), x])

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`."""
        given, made = 0 if reads_sample else self.input_numbers, self.output_numbers
        pooled = wide(self.in_channels) * self.pixels_out
        return max(given + 2 * made, given + made + pooled, 3 * made)

    @property
    def numbers_inside(self) -> int:
        """See `Block.numbers_inside`."""
        return 4 * self.out_channels * self.pixels_out
