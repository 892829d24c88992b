"""Kinds `traced_product`, `traced_pointwise` and `traced_pool`: operators without weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookup_tables.blocks.traced_pointwise import (
    EXPONENTIAL,
    GATE,
    NORM,
    SIMPLE,
    SOFTMAX,
    TracedPointwiseBlock,
)
from lookup_tables.blocks.traced_pool import TracedPoolBlock
from lookup_tables.blocks.traced_product import TracedProductBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule, array


class TracedProduct(BlockModule[TracedProductBlock]):
    """A product of two tensors."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left @ right

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return {}


class TracedPointwise(BlockModule[TracedPointwiseBlock]):
    """One operator of its form."""

    def __init__(self, block: TracedPointwiseBlock) -> None:
        super().__init__(block)
        if block.operation == NORM:
            self.norm = nn.LayerNorm(block.positions, bias=False)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        form = self.block.operation
        if more:
            return x + more[0]
        if form == SIMPLE:
            return torch.relu(x)
        if form == GATE:
            return x * (0.2 * x + 0.5).clamp(0.0, 1.0)
        if form == EXPONENTIAL:
            return functional.silu(x)
        if form == SOFTMAX:
            return torch.softmax(x, -1)
        if form == NORM:
            normalised: Tensor = self.norm(x)
            return normalised
        return x.transpose(1, 2)

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return {"norm.weight": array(self.norm.weight)} if self.block.operation == NORM else {}


class TracedPool(BlockModule[TracedPoolBlock]):
    """The mean or the largest of each window."""

    def forward(self, x: Tensor) -> Tensor:
        block = self.block
        kernel = (block.kernel_height, block.kernel_width)
        pool = functional.max_pool2d if block.largest else functional.avg_pool2d
        return pool(x, kernel, block.stride, block.pad)

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return {}
