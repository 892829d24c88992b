"""Kind `traced_conv`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookup_tables.blocks.traced_conv import TracedConvBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import plain


class TracedConv(BlockModule[TracedConvBlock]):
    """A convolution, and ReLU where one follows."""

    def __init__(self, block: TracedConvBlock) -> None:
        super().__init__(block)
        self.conv = nn.Conv2d(
            block.in_channels,
            block.out_channels,
            (block.kernel_height, block.kernel_width),
            stride=(block.stride_height, block.stride_width),
            padding=(block.pad_height, block.pad_width),
            dilation=block.dilation,
            groups=block.groups,
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return torch.relu(y) if self.block.relu else y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return plain("conv", self.conv)
