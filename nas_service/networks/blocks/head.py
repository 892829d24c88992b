"""Kind `head`."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from lookup_tables.blocks.head import HeadBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import ConvNorm, named, plain


class Head(BlockModule[HeadBlock]):
    """1x1 convolution, ReLU, global average pool, linear layer."""

    def __init__(self, block: HeadBlock) -> None:
        super().__init__(block)
        self.conv = ConvNorm(block.in_channels, block.mid_channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(block.mid_channels, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(torch.flatten(self.pool(torch.relu(self.conv(x))), 1))
        return y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return {**named("conv", self.conv), **plain("linear", self.linear)}

    def run_as(self, block: HeadBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        x = torch.relu(self.conv.cut(x, block.mid_channels))
        pooled = x.mean((2, 3))
        return functional.linear(
            pooled, self.linear.weight[:, : block.mid_channels], self.linear.bias
        )
