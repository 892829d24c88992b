"""Kind `temporal_head`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookup_tables.blocks.temporal_head import TemporalHeadBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import plain


class TemporalHead(BlockModule[TemporalHeadBlock]):
    """The mean over time, and a linear layer."""

    def __init__(self, block: TemporalHeadBlock) -> None:
        super().__init__(block)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.linear = nn.Linear(block.channels, block.outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(torch.flatten(self.pool(x), 1))
        return y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return plain("linear", self.linear)

    def run_as(self, block: TemporalHeadBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        weight = self.linear.weight[:, : block.channels]
        return functional.linear(x.mean(2), weight, self.linear.bias)
