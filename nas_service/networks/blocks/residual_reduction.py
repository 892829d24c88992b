"""Kind `residual_reduction`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lookup_tables.blocks.residual_reduction import ResidualReductionBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule, array
from nas_service.networks.blocks.layers import ConvNorm, named


class ResidualReduction(BlockModule[ResidualReductionBlock]):
    """Two convolutions beside a pooled shortcut."""

    def __init__(self, block: ResidualReductionBlock) -> None:
        super().__init__(block)
        self.first = ConvNorm(block.in_channels, block.out_channels, 3, 2)
        self.second = ConvNorm(block.out_channels, block.out_channels, 3)
        self.pool = nn.AvgPool2d(2, 2)
        self.shortcut = nn.Conv2d(block.in_channels, block.out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(torch.relu(self.first(torch.relu(x))))
        shortcut: Tensor = self.shortcut(self.pool(x))
        return shortcut + y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        shortcut = array(self.shortcut.weight)
        return {
            **named("first", self.first),
            **named("second", self.second),
            "shortcut.weight": shortcut,
            "shortcut.bias": np.zeros(len(shortcut), dtype=np.float32),
        }
