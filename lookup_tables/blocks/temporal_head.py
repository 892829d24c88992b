"""The head of networks on signals: the mean over time, and a linear layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookup_tables.blocks.base import Block, GraphBuilder, Layer
from lookup_tables.blocks.signal import kept_channels
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class TemporalHeadBlock(Block):
    """See the module's text."""

    kind = "temporal_head"
    shares_weights = True

    channels: int
    steps: int
    outputs: int

    def __post_init__(self) -> None:
        for name, value in self.sizes.items():
            if value < 1:
                raise LookupTableError(f"{name} of a block is {value}, must be >= 1")

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.channels, self.steps)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.outputs)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        return [Layer(1, self.channels, self.outputs, normalised=False)]

    def arena_numbers(self) -> int:
        """See `Block.arena_numbers`; channels come first again before the mean is taken."""
        return 2 * self.channels * self.steps

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {"linear.weight": (self.outputs, self.channels), "linear.bias": (self.outputs,)}

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        pooled = graph.node("Flatten", [graph.node("GlobalAveragePool", [inputs[0]])])
        return graph.node("Gemm", [pooled, "linear.weight", "linear.bias"], transB=1)

    def narrowed(self, width: float) -> TemporalHeadBlock:
        """See `Block.narrowed`."""
        return replace(self, channels=kept_channels(self.channels, width))

    def small(self) -> TemporalHeadBlock:
        """See `Block.small`."""
        return replace(self, channels=4, steps=16, outputs=2)

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        return {
            "log_channels": math.log(self.channels),
            "log_steps": math.log(self.steps),
            "log_outputs": math.log(self.outputs),
        }
