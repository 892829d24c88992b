"""Convolutions over time, with batch normalisation and ReLU, dilated or residual where asked for.

Residual ones add the input after the activation (van den Oord et al., 2016, WaveNet; Bai et al.,
2018, temporal convolutional networks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.signal import TemporalBlock, layer


@dataclass(frozen=True, order=False)
class TemporalConvBlock(TemporalBlock):
    """See the module's text."""

    kind = "temporal_conv"
    shares_weights = True

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        return [layer(self, self.in_channels, self.out_channels, self.kernel)]

    def arena_numbers(self) -> int:
        """See `Block.arena_numbers`."""
        arena = self.arena()
        unfolds = self.kernel > 1 or self.stride > 1
        columns = self.out_steps * self.kernel * self.in_channels if unfolds else 0
        arena.then(self.out_channels * self.out_steps, columns)
        if self.residual:
            arena.add()
        return arena.peak

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {
            "conv.weight": (self.out_channels, self.in_channels, self.kernel),
            "conv.bias": (self.out_channels,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        made = graph.node(
            "Conv",
            [inputs[0], "conv.weight", "conv.bias"],
            kernel_shape=[self.kernel],
            strides=[self.stride],
            dilations=[self.dilation],
            pads=[self.padding] * 2,
        )
        made = graph.node("Relu", [made])
        return graph.node("Add", [inputs[0], made]) if self.residual else made
