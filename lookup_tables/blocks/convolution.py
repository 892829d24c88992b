"""A convolution, alone or with ReLU before or behind it; normalisation is folded into its bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.arena import Arena
from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.image import ImageBlock, convolution_shapes

_IMAGE_CHANNELS = 4


@dataclass(frozen=True, order=False)
class ConvBlock(ImageBlock):
    """The convolution alone."""

    kind = "conv"
    shares_weights = True
    relu_before, relu_behind = False, False

    kernel: int = 1
    stride: int = 1

    def layers(self) -> list[Layer]:
        """See `Block.layers`."""
        return [Layer(self.pixels_out, self.in_channels, self.out_channels, self.kernel**2)]

    def arena_numbers(self) -> int:
        """See `Block.arena_numbers`."""
        arena = Arena(self.in_channels * self.pixels_in)
        if copy := self.padded_numbers(self.in_channels):
            arena.then(copy)
        unfolds = self.kernel > 1 or self.stride > 1
        columns = self.pixels_out * self.kernel**2 * self.in_channels if unfolds else 0
        arena.then(self.out_channels * self.pixels_out, columns)
        return arena.peak

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return convolution_shapes("conv", self.out_channels, self.in_channels, self.kernel)

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        x = graph.node("Relu", inputs) if self.relu_before else inputs[0]
        x = graph.convolution(x, "conv", kernel=self.kernel, stride=self.stride)
        return graph.node("Relu", [x]) if self.relu_behind else x

    @property
    def first_alone(self) -> bool:
        """See `Block.first_alone`: of at most four channels it reads the image."""
        return not self.relu_before and self.in_channels <= _IMAGE_CHANNELS


@dataclass(frozen=True, order=False)
class ConvReluBlock(ConvBlock):
    """ReLU behind it."""

    kind = "conv_relu"
    relu_behind = True


@dataclass(frozen=True, order=False)
class ReluConvBlock(ConvBlock):
    """ReLU before it, as the operator of NAS-Bench-201 cells has it."""

    kind = "relu_conv"
    relu_before = True
