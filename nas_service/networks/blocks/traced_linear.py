"""Kind `traced_linear`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookup_tables.blocks.traced_linear import TracedLinearBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule, array


class TracedLinear(BlockModule[TracedLinearBlock]):
    """A linear layer for each row, and ReLU where one follows."""

    def __init__(self, block: TracedLinearBlock) -> None:
        super().__init__(block)
        self.linear = nn.Linear(block.in_features, block.out_features)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return torch.relu(y) if self.block.relu else y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return {
            "linear.weight": array(self.linear.weight.T),
            "linear.bias": array(self.linear.bias),
        }
