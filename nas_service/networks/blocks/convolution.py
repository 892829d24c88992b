"""Kinds `conv`, `conv_relu` and `relu_conv`."""

from __future__ import annotations

import torch
from torch import Tensor

from lookup_tables.blocks.convolution import ConvBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import ConvNorm, named


class Conv(BlockModule[ConvBlock]):
    """A convolution with normalisation, and ReLU where its kind has it."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__(block)
        self.conv = ConvNorm(block.in_channels, block.out_channels, block.kernel, block.stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.block.relu_before:
            x = torch.relu(x)
        y: Tensor = self.conv(x)
        return torch.relu(y) if self.block.relu_behind else y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return named("conv", self.conv)

    def run_as(self, block: ConvBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        if block.relu_before:
            x = torch.relu(x)
        y = self.conv.cut(x, block.out_channels, block.kernel, block.stride)
        return torch.relu(y) if block.relu_behind else y
