"""The end of a network that finds boxes: scores of classes and distances to a box's sides.

A small pyramid is made of the network's last map (after Li et al., 2022, plain backbones for
detection): that map at `side` cells, and one at half of it by a strided convolution. On each, a
depthwise and a 1x1 convolution, then a score a class and four distances a cell, without anchors
(Tian et al., 2019). A network gives scores and boxes apart, as each needs a range of its own in
integers; the graph of the block alone joins them, `(1, classes + 4, cells)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.map_head import MapHeadBlock

KERNEL = 3
SIDES = 4
"""Distances a cell: to the left, top, right and bottom side of its box."""
LEVELS = (("fine", 1), ("coarse", 2))
"""Maps of the pyramid, and the stride from the first one."""


def cells_of(side: int) -> int:
    """Cells of both levels, where the finer one has `side` a side."""
    return sum((-(-side // stride)) ** 2 for _, stride in LEVELS)


@dataclass(frozen=True, order=False)
class BoxHeadBlock(MapHeadBlock):
    """See the module's text; maps are square, and brought to `side` first where they are not."""

    kind = "box_head"
    shares_weights = True

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.classes + SIDES, cells_of(self.side))

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        middle = self.mid_channels
        found = [Layer(self.size**2, self.channels, middle)]
        for _, stride in LEVELS:
            cells = self._cells(stride)
            found += [
                Layer(cells, 1, middle, KERNEL**2),
                Layer(cells, middle, middle),
                Layer(cells, middle, self.classes, normalised=False),
                Layer(cells, middle, SIDES, normalised=False),
            ]
        return found

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        middle = self.mid_channels
        shapes: dict[str, tuple[int, ...]] = {
            "conv.weight": (middle, self.channels, 1, 1),
            "conv.bias": (middle,),
        }
        for level, _ in LEVELS:
            shapes |= {
                f"{level}.depthwise.weight": (middle, 1, KERNEL, KERNEL),
                f"{level}.depthwise.bias": (middle,),
                f"{level}.pointwise.weight": (middle, middle, 1, 1),
                f"{level}.pointwise.bias": (middle,),
                f"{level}.scores.weight": (self.classes, middle, 1, 1),
                f"{level}.scores.bias": (self.classes,),
                f"{level}.boxes.weight": (SIDES, middle, 1, 1),
                f"{level}.boxes.bias": (SIDES,),
            }
        return shapes

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        x = graph.node("Relu", [graph.convolution(inputs[0], "conv")])
        if self.size != self.side:
            shape = [1, self.mid_channels, self.side, self.side]
            sizes = graph.node("Constant", [], value_ints=shape)
            x = graph.node("Resize", [x, "", "", sizes], mode="linear")
        scores: list[str] = []
        boxes: list[str] = []
        for level, stride in LEVELS:
            y = graph.convolution(
                x,
                f"{level}.depthwise",
                kernel=KERNEL,
                stride=stride,
                groups=self.mid_channels,
            )
            y = graph.node("Relu", [y])
            y = graph.node("Relu", [graph.convolution(y, f"{level}.pointwise")])
            for kind, count, found in (
                ("scores", self.classes, scores),
                ("boxes", SIDES, boxes),
            ):
                flat = graph.node("Constant", [], value_ints=[1, count, self._cells(stride)])
                maps = graph.convolution(y, f"{level}.{kind}")
                found.append(graph.node("Reshape", [maps, flat]))
        both = [graph.node("Concat", found, axis=2) for found in (scores, boxes)]
        return graph.node("Concat", both, axis=1)

    def small(self) -> BoxHeadBlock:
        """See `Block.small`; one that is brought to another side has one operator more."""
        size = 4 if self.size == self.side else 3
        return replace(self, channels=8, size=size, mid_channels=8, classes=2, side=4)

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`; the first map stays until both levels are done."""
        given = 0 if reads_sample else self.channels * self.size**2
        middle = self.mid_channels
        before, first = middle * self.size**2, middle * self.side**2
        moments = [given + before, before + (first if self.size != self.side else 0)]
        made = 0
        for level, stride in LEVELS:
            kept = first if level == LEVELS[0][0] else 0
            cells = self._cells(stride)
            after = middle * cells
            moments += [first + made + after, kept + made + 2 * after]
            made += (self.classes + SIDES) * cells
            moments.append(kept + after + made)
        return max(*moments, 2 * made, given + made)

    @property
    def numbers_inside(self) -> int:
        """See `Block.numbers_inside`."""
        cells = cells_of(self.side)
        maps = 2 * self.mid_channels * cells + 2 * (self.classes + SIDES) * cells
        return 2 * (self.mid_channels * (self.size**2 + self.side**2) + maps)

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        return {
            **{f"log_{name}": math.log(value) for name, value in self.sizes.items()},
            "log_work": math.log(self.macs),
            "log_cells": math.log(cells_of(self.side)),
        }

    def _cells(self, stride: int) -> int:
        return (-(-self.side // stride)) ** 2
