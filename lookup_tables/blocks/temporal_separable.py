"""Depthwise-separable convolutions over time: each channel by itself, then all of them a step.

Batch normalisation and ReLU follow both; residual ones add the input after (Howard et al., 2017,
MobileNets, over time; Zhang et al., 2017, keyword spotting on microcontrollers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.signal import TemporalBlock, layer


@dataclass(frozen=True, order=False)
class TemporalSeparableBlock(TemporalBlock):
    """See the module's text."""

    kind = "temporal_separable"
    shares_weights = True

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        return [
            layer(self, 1, self.in_channels, self.kernel),
            layer(self, self.in_channels, self.out_channels, 1),
        ]

    def arena_numbers(self) -> int:
        """See `Block.arena_numbers`."""
        arena = self.arena()
        arena.then(self.in_channels * self.out_steps)
        arena.then(self.out_channels * self.out_steps)
        if self.residual:
            arena.add()
        return arena.peak

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {
            "depthwise.weight": (self.in_channels, 1, self.kernel),
            "depthwise.bias": (self.in_channels,),
            "pointwise.weight": (self.out_channels, self.in_channels, 1),
            "pointwise.bias": (self.out_channels,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        made = graph.node(
            "Conv",
            [inputs[0], "depthwise.weight", "depthwise.bias"],
            kernel_shape=[self.kernel],
            strides=[self.stride],
            dilations=[self.dilation],
            pads=[self.padding] * 2,
            group=self.in_channels,
        )
        made = graph.node("Relu", [made])
        made = graph.node("Conv", [made, "pointwise.weight", "pointwise.bias"], kernel_shape=[1])
        made = graph.node("Relu", [made])
        return graph.node("Add", [inputs[0], made]) if self.residual else made

    @property
    def numbers_between(self) -> int:
        """See `TemporalBlock.numbers_between`."""
        return self.in_channels * self.out_steps
