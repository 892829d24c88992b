"""What every supernet has, whatever its networks are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from nas_service.space.base import IntArray, SearchSpace


class SharedWeights(nn.Module, ABC):
    """What every supernet has: weights for all networks of its space."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space

    @abstractmethod
    def forward(self, x: Tensor, genotype: IntArray) -> Tensor:
        """What the network of a genotype `(d,)` answers, normalised by the batch in training."""

    @abstractmethod
    def subnet(self, genotype: IntArray) -> nn.Module:
        """A network of its own with a copy of the subnet's weights; statistics not yet set."""

    def begin(self, inputs: Tensor) -> None:
        """Set weights that come from nowhere yet by prepared samples, before any training."""
        del inputs

    def original(self) -> nn.Module | None:
        """A network that was there before and teaches all of them, where there is one."""
        return None
