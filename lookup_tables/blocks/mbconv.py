"""Inverted residuals: expansion, depthwise convolution, squeeze-excitation, projection.

1x1 expansion and ReLU are left out where `mid_channels == in_channels`, squeeze-excitation where
`se_channels` is 0; the input is added where `residual`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from lookup_tables.blocks.arena import Arena
from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.image import ImageBlock, convolution_shapes, wide
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class MbConvBlock(ImageBlock):
    """See the module's text."""

    kind = "mbconv"
    shares_weights = True

    kernel: int = 1
    stride: int = 1
    mid_channels: int = 0
    se_channels: int = 0
    residual: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mid_channels < 1:
            raise LookupTableError(f"mid_channels of a block is {self.mid_channels}, must be >= 1")
        if self.residual and (self.stride != 1 or self.in_channels != self.out_channels):
            raise LookupTableError("a residual block keeps its channels and has stride 1")

    @property
    def expanded(self) -> bool:
        """Whether it has an expansion."""
        return self.mid_channels != self.in_channels

    def layers(self) -> list[Layer]:
        """See `Block.layers`."""
        middle, gate = self.mid_channels, self.se_channels
        layers = [Layer(self.pixels_in, self.in_channels, middle)] if self.expanded else []
        layers.append(Layer(self.pixels_out, 1, middle, self.kernel**2))
        if gate:
            layers.append(Layer(1, middle, gate, normalised=False))
            layers.append(Layer(1, gate, middle, normalised=False))
        return [*layers, Layer(self.pixels_out, middle, self.out_channels)]

    def arena_numbers(self) -> int:
        """See `Block.arena_numbers`."""
        middle = self.mid_channels
        arena = Arena(self.in_channels * self.pixels_in)
        if self.residual:
            arena.keep()
        if self.expanded:
            arena.then(middle * self.pixels_in)
        if copy := self.padded_numbers(middle):
            arena.then(copy)
        arena.then(middle * self.pixels_out)
        if self.se_channels:
            arena.then(middle * self.pixels_out, middle)
        arena.then(self.out_channels * self.pixels_out)
        if self.residual:
            arena.add()
        return arena.peak

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        middle, gate = self.mid_channels, self.se_channels
        shapes: dict[str, tuple[int, ...]] = {}
        if self.expanded:
            shapes |= convolution_shapes("expand", middle, self.in_channels)
        shapes |= convolution_shapes("depthwise", middle, 1, self.kernel)
        if gate:
            shapes |= convolution_shapes("squeeze", gate, middle)
            shapes |= convolution_shapes("excite", middle, gate)
        return shapes | convolution_shapes("project", self.out_channels, middle)

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        x = inputs[0]
        if self.expanded:
            x = graph.node("Relu", [graph.convolution(x, "expand")])
        x = graph.convolution(
            x, "depthwise", kernel=self.kernel, stride=self.stride, groups=self.mid_channels
        )
        x = graph.node("Relu", [x])
        if self.se_channels:
            squeezed = graph.node("GlobalAveragePool", [x])
            squeezed = graph.node("Relu", [graph.convolution(squeezed, "squeeze")])
            gate = graph.node("Sigmoid", [graph.convolution(squeezed, "excite")])
            x = graph.node("Mul", [x, gate])
        x = graph.convolution(x, "project")
        return graph.node("Add", [inputs[0], x]) if self.residual else x

    def small(self) -> Self:
        """See `Block.small`."""
        plain = super().small()
        return replace(
            plain,
            mid_channels=plain.in_channels * (2 if self.expanded else 1),
            se_channels=plain.in_channels if self.se_channels else 0,
        )

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`."""
        given, made = 0 if reads_sample else self.input_numbers, self.output_numbers
        middle = wide(self.mid_channels)
        before, after = middle * self.pixels_in, middle * self.pixels_out
        kept = given if self.residual else 0
        moments = [kept + after + made * (2 if self.residual else 1)]
        if self.expanded:
            moments += [given + before, kept + before + after]
        else:
            moments.append(given + after)
        if self.se_channels:
            moments.append(kept + 2 * after)
        return max(moments)

    @property
    def numbers_inside(self) -> int:
        """See `Block.numbers_inside`."""
        expanded = 2 * self.mid_channels * self.pixels_in if self.expanded else 0
        return expanded + 2 * self.mid_channels * self.pixels_out
