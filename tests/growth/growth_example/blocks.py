"""Blocks on signals: the cost side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookup_tables.blocks.base import Block, GraphBuilder, Layer


@dataclass(frozen=True, order=False)
class Conv1dBlock(Block):
    """A convolution over time with ReLU; `steps` are those of its input."""

    kind = "conv1d"

    in_channels: int
    out_channels: int
    steps: int
    kernel: int
    stride: int = 1

    @property
    def out_steps(self) -> int:
        return -(-self.steps // self.stride)

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return {"input": (1, self.in_channels, self.steps)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (1, self.out_channels, self.out_steps)

    def layers(self) -> Sequence[Layer]:
        return [Layer(self.out_steps, self.in_channels, self.out_channels, self.kernel)]

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {
            "conv.weight": (self.out_channels, self.in_channels, self.kernel),
            "conv.bias": (self.out_channels,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        made = graph.node(
            "Conv",
            [inputs[0], "conv.weight", "conv.bias"],
            kernel_shape=[self.kernel],
            strides=[self.stride],
            pads=[self.kernel // 2] * 2,
        )
        return graph.node("Relu", [made])

    def narrowed(self, width: float) -> Conv1dBlock:
        kept = [max(1, int(one * width)) for one in (self.in_channels, self.out_channels)]
        return replace(self, in_channels=kept[0], out_channels=kept[1])

    def small(self) -> Conv1dBlock:
        return replace(self, in_channels=2, out_channels=2, steps=8, kernel=3)

    def features(self) -> Mapping[str, float]:
        return {
            "log_channels": math.log(self.in_channels * self.out_channels),
            "log_steps": math.log(self.steps),
            "kernel": float(self.kernel),
            "log_work": math.log(self.macs),
        }


@dataclass(frozen=True, order=False)
class MeanHeadBlock(Block):
    """The mean over time, and a linear layer to one number."""

    kind = "mean_head"

    channels: int
    steps: int

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return {"input": (1, self.channels, self.steps)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (1, 1)

    def layers(self) -> Sequence[Layer]:
        return [Layer(1, self.channels, 1, normalised=False)]

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"linear.weight": (1, self.channels), "linear.bias": (1,)}

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        pooled = graph.node("Flatten", [graph.node("GlobalAveragePool", list(inputs))])
        return graph.node("Gemm", [pooled, "linear.weight", "linear.bias"], transB=1)

    def narrowed(self, width: float) -> MeanHeadBlock:
        return replace(self, channels=max(1, int(self.channels * width)))

    def small(self) -> MeanHeadBlock:
        return replace(self, channels=2, steps=8)

    def features(self) -> Mapping[str, float]:
        return {"log_channels": math.log(self.channels), "log_steps": math.log(self.steps)}
