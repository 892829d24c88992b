"""The end of a network that names a class for every pixel, all of it at the maps' own size.

1x1 convolution to `mid_channels`, ReLU, 3x3 convolution to a map a class, and these enlarged to
`side` pixels bilinearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.map_head import MapHeadBlock

KERNEL = 3


@dataclass(frozen=True, order=False)
class MaskHeadBlock(MapHeadBlock):
    """See the module's text; maps and masks are square."""

    kind = "mask_head"
    shares_weights = True

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.classes, self.side, self.side)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        pixels = self.size**2
        return [
            Layer(pixels, self.channels, self.mid_channels),
            Layer(pixels, self.mid_channels, self.classes, KERNEL**2, normalised=False),
        ]

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {
            "conv.weight": (self.mid_channels, self.channels, 1, 1),
            "conv.bias": (self.mid_channels,),
            "mask.weight": (self.classes, self.mid_channels, KERNEL, KERNEL),
            "mask.bias": (self.classes,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        x = graph.node("Relu", [graph.convolution(inputs[0], "conv")])
        x = graph.convolution(x, "mask", kernel=KERNEL)
        sizes = graph.node("Constant", [], value_ints=list(self.output_shape))
        return graph.node("Resize", [x, "", "", sizes], mode="linear")

    def small(self) -> MaskHeadBlock:
        """See `Block.small`."""
        return replace(self, channels=8, size=4, mid_channels=8, classes=2, side=8)

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`; layers hand maps to each other, and these are enlarged."""
        pixels = self.size**2
        given = 0 if reads_sample else self.channels * pixels
        maps = self.classes * pixels
        moments = (
            given + self.mid_channels * pixels,
            self.mid_channels * pixels + maps,
            maps + self.output_numbers,
            given + self.output_numbers,
        )
        return max(moments)

    @property
    def numbers_inside(self) -> int:
        """See `Block.numbers_inside`."""
        return 2 * (self.mid_channels + self.classes) * self.size**2

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        return {
            **{f"log_{name}": math.log(value) for name, value in self.sizes.items()},
            "log_work": math.log(self.macs),
            "log_enlarged": math.log(self.output_numbers),
        }
