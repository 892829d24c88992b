"""Kind `mask_head`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookup_tables.blocks.mask_head import KERNEL, MaskHeadBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import ConvNorm, named, plain


class MaskHead(BlockModule[MaskHeadBlock]):
    """1x1 convolution, ReLU, 3x3 convolution to a map a class, enlarged."""

    def __init__(self, block: MaskHeadBlock) -> None:
        super().__init__(block)
        self.conv = ConvNorm(block.channels, block.mid_channels)
        self.mask = nn.Conv2d(block.mid_channels, block.classes, KERNEL, padding=KERNEL // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self._enlarged(self.mask(torch.relu(self.conv(x))))

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return {**named("conv", self.conv), **plain("mask", self.mask)}

    def run_as(self, block: MaskHeadBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        x = torch.relu(self.conv.cut(x, block.mid_channels))
        weight = self.mask.weight[:, : block.mid_channels]
        return self._enlarged(functional.conv2d(x, weight, self.mask.bias, padding=KERNEL // 2))

    def _enlarged(self, maps: Tensor) -> Tensor:
        side = (self.block.side, self.block.side)
        return functional.interpolate(maps, size=side, mode="bilinear", align_corners=False)
