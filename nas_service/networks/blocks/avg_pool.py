"""Kind `avg_pool`."""

from __future__ import annotations

from torch import Tensor, nn

from lookup_tables.blocks.avg_pool import AvgPoolBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule


class AvgPool(BlockModule[AvgPoolBlock]):
    """A 3x3 average pool."""

    def __init__(self, block: AvgPoolBlock) -> None:
        super().__init__(block)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(x)
        return y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`: it has none."""
        return {}
