"""Traced convolutions over one or two dimensions, with the activation that follows at once.

Normalisation is folded into the weights. A depthwise layer has as many groups as channels; one
over time has a height of 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.image import kept_channels
from lookup_tables.blocks.traced import TracedBlock
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class TracedConvBlock(TracedBlock):
    """`height` and `width` are those of the input; `relu` says whether one follows."""

    kind = "traced_conv"
    from_zero = frozenset({"pad_height", "pad_width", "relu"})
    told_apart = ("kernel_height", "kernel_width", "stride_height", "stride_width", "relu")

    in_channels: int
    out_channels: int
    groups: int
    height: int
    width: int
    kernel_height: int
    kernel_width: int
    stride_height: int = 1
    stride_width: int = 1
    pad_height: int = 0
    pad_width: int = 0
    dilation: int = 1
    relu: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise LookupTableError(f"channels of {self.kind} are no multiple of its groups")
        if min(self.out_height, self.out_width) < 1:
            raise LookupTableError(f"the kernel of {self.kind} is larger than its input")

    def _sides(self, name: str, size: int) -> int:
        kernel, stride, pad = (int(self.sizes[f"{one}_{name}"]) for one in _OF_A_SIDE)
        return (size + 2 * pad - self.dilation * (kernel - 1) - 1) // stride + 1

    @property
    def out_height(self) -> int:
        """Height of the output."""
        return self._sides("height", self.height)

    @property
    def out_width(self) -> int:
        """Width of the output."""
        return self._sides("width", self.width)

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved by itself."""
        return self.groups > 1 and self.groups == self.in_channels == self.out_channels

    @property
    def variant(self) -> str:
        """See `Block.variant`: pointwise, depthwise and other layers run on other code."""
        if self.depthwise:
            return f"{self.kind}-depthwise"
        pointwise = self.kernel_height == self.kernel_width == 1
        return f"{self.kind}-pointwise" if pointwise else self.kind

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.in_channels, self.height, self.width)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.out_channels, self.out_height, self.out_width)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        taps = self.kernel_height * self.kernel_width
        inputs = self.in_channels // self.groups
        positions = self.out_height * self.out_width
        return [Layer(positions, inputs, self.out_channels, taps, normalised=False)]

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        kernel = (self.kernel_height, self.kernel_width)
        return {
            "conv.weight": (self.out_channels, self.in_channels // self.groups, *kernel),
            "conv.bias": (self.out_channels,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        made = graph.node(
            "Conv",
            [inputs[0], "conv.weight", "conv.bias"],
            kernel_shape=[self.kernel_height, self.kernel_width],
            strides=[self.stride_height, self.stride_width],
            pads=[self.pad_height, self.pad_width] * 2,
            dilations=[self.dilation] * 2,
            group=self.groups,
        )
        return graph.node("Relu", [made]) if self.relu else made

    def narrowed(self, width: float) -> TracedConvBlock:
        """See `Block.narrowed`; layers of several groups stay, but for depthwise ones."""
        if width >= 1.0 or (self.groups > 1 and not self.depthwise):
            return self
        inputs, outputs = (
            kept_channels(one, width) for one in (self.in_channels, self.out_channels)
        )
        if self.depthwise:
            return replace(self, in_channels=inputs, out_channels=inputs, groups=inputs)
        return replace(self, in_channels=inputs, out_channels=outputs)

    def small(self) -> TracedConvBlock:
        """See `Block.small`."""
        groups = 8 if self.depthwise else 1 if self.groups == 1 else 2
        sides = {
            f"{one}": max(8, self.dilation * (int(self.sizes[f"kernel_{one}"]) - 1) + 1)
            for one in ("height", "width")
        }
        return replace(self, in_channels=8, out_channels=8, groups=groups, **sides)

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        return {**super().features(), "depthwise": float(self.depthwise)}


_OF_A_SIDE = ("kernel", "stride", "pad")
