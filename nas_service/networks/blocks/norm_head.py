"""Kind `norm_head`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookup_tables.blocks.norm_head import NormHeadBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule, array
from nas_service.networks.blocks.layers import plain, scale_and_shift


class NormHead(BlockModule[NormHeadBlock]):
    """Normalisation, ReLU, global average pool, linear layer."""

    def __init__(self, block: NormHeadBlock) -> None:
        super().__init__(block)
        self.norm = nn.BatchNorm2d(block.in_channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(block.in_channels, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(torch.flatten(self.pool(torch.relu(self.norm(x))), 1))
        return y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        scale, shift = scale_and_shift(self.norm)
        shape = (1, -1, 1, 1)
        return {
            "norm.scale": array(scale.reshape(shape)),
            "norm.shift": array(shift.reshape(shape)),
            **plain("linear", self.linear),
        }
