"""Kind `box_head`."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookup_tables.blocks.box_head import KERNEL, LEVELS, SIDES, BoxHeadBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import ConvNorm, named, plain

_RARE = -4.0
"""What scores begin with: a box is in about one cell of fifty (Lin et al., 2017, focal loss)."""
_REACH = 1.5
"""What distances begin with, in cells."""


class BoxHead(BlockModule[BoxHeadBlock]):
    """1x1 convolution, a pyramid of two maps, and on each of them scores and distances.

    `apart` gives scores `(n, classes, cells)` and boxes `(n, 4, cells)`, as files have them; else
    both are one tensor `(n, classes + 4, cells)`.
    """

    output_names = ("scores", "boxes")

    def __init__(self, block: BoxHeadBlock) -> None:
        super().__init__(block)
        self.conv = ConvNorm(block.channels, block.mid_channels)
        self.fine = _Level(block, dict(LEVELS)["fine"])
        self.coarse = _Level(block, dict(LEVELS)["coarse"])

    def forward(self, x: Tensor) -> Tensor:
        x = self._brought(torch.relu(self.conv(x)))
        both = self._joined(self.fine(x), self.coarse(x))
        # files have both apart: what is traced then gives a pair in place of a tensor
        return cast(Tensor, both) if self.apart else torch.cat(both, dim=1)

    def last_layers(self) -> list[nn.Module]:
        """See `BlockModule.last_layers`."""
        levels = (self.fine, self.coarse)
        return [layer for one in levels for layer in (one.scores, one.boxes)]

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        found = named("conv", self.conv)
        for name, level in (("fine", self.fine), ("coarse", self.coarse)):
            found |= named(f"{name}.depthwise", level.depthwise)
            found |= named(f"{name}.pointwise", level.pointwise)
            found |= plain(f"{name}.scores", level.scores)
            found |= plain(f"{name}.boxes", level.boxes)
        return found

    def run_as(self, block: BoxHeadBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        middle = block.mid_channels
        x = self._brought(torch.relu(self.conv.cut(x, middle)))
        return torch.cat(self._joined(self.fine.cut(x, middle), self.coarse.cut(x, middle)), dim=1)

    def _brought(self, x: Tensor) -> Tensor:
        side = self.block.side
        if x.shape[-1] == side:
            return x
        return functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)

    def _joined(self, *levels: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores and boxes of all cells, the finer level's first."""
        scores, boxes = (
            torch.cat([one.flatten(2) for one in maps], dim=2) for maps in zip(*levels, strict=True)
        )
        return scores, boxes


class _Level(nn.Module):
    """One map of the pyramid."""

    def __init__(self, block: BoxHeadBlock, stride: int) -> None:
        super().__init__()
        middle = block.mid_channels
        self.stride = stride
        self.depthwise = ConvNorm(middle, middle, KERNEL, stride, groups=middle)
        self.pointwise = ConvNorm(middle, middle)
        self.scores = nn.Conv2d(middle, block.classes, 1)
        self.boxes = nn.Conv2d(middle, SIDES, 1)
        for layer, start in ((self.scores, _RARE), (self.boxes, _REACH)):
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, start)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.pointwise(torch.relu(self.depthwise(x))))
        return self.scores(x), self.boxes(x)

    def cut(self, x: Tensor, middle: int) -> tuple[Tensor, Tensor]:
        """With its leading `middle` channels."""
        x = torch.relu(self.depthwise.cut(x, middle, KERNEL, self.stride, depthwise=True))
        x = torch.relu(self.pointwise.cut(x, middle))
        scores, boxes = (
            functional.conv2d(x, layer.weight[:, :middle], layer.bias)
            for layer in (self.scores, self.boxes)
        )
        return scores, boxes
