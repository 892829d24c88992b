"""Blocks on signals: the torch side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from growth_example.blocks import Conv1dBlock, MeanHeadBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule, array
from nas_service.networks.blocks.layers import plain, scale_and_shift


class Conv1d(BlockModule[Conv1dBlock]):
    """Convolution, normalisation, ReLU."""

    def __init__(self, block: Conv1dBlock) -> None:
        super().__init__(block)
        pad = block.kernel // 2
        sizes = (block.in_channels, block.out_channels, block.kernel, block.stride, pad)
        self.conv = nn.Conv1d(*sizes, bias=False)
        self.norm = nn.BatchNorm1d(block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.relu(self.norm(self.conv(x)))
        return y

    def weights(self) -> dict[str, Array]:
        scale, shift = scale_and_shift(self.norm)
        weight = self.conv.weight * scale[:, None, None]
        return {"conv.weight": array(weight), "conv.bias": array(shift)}


class MeanHead(BlockModule[MeanHeadBlock]):
    """Mean over time, linear layer."""

    def __init__(self, block: MeanHeadBlock) -> None:
        super().__init__(block)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.linear = nn.Linear(block.channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(torch.flatten(self.pool(x), 1))
        return y

    def weights(self) -> dict[str, Array]:
        return plain("linear", self.linear)
