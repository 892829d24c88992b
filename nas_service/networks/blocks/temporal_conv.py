"""Kind `temporal_conv`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookup_tables.blocks.temporal_conv import TemporalConvBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.temporal import TemporalNorm


class TemporalConv(BlockModule[TemporalConvBlock]):
    """Convolution over time, normalisation, ReLU, and the input where it is residual."""

    def __init__(self, block: TemporalConvBlock) -> None:
        super().__init__(block)
        self.conv = TemporalNorm(block, block.in_channels, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv(x))
        return x + y if self.block.residual else y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        weight, bias = self.conv.folded()
        return {"conv.weight": weight, "conv.bias": bias}

    def run_as(self, block: TemporalConvBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        y = torch.relu(self.conv.cut(x, block, block.out_channels))
        return x + y if block.residual else y

    def silence(self) -> None:
        """See `BlockModule.silence`."""
        if self.block.residual:
            nn.init.zeros_(self.conv.norm.weight)
