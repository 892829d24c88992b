"""Kind `add`."""

from __future__ import annotations

from torch import Tensor

from lookup_tables.blocks.add import AddBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule


class Add(BlockModule[AddBlock]):
    """A sum of tensors."""

    def forward(self, *xs: Tensor) -> Tensor:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`: it has none."""
        return {}
