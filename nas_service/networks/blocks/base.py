"""What the torch module of a block is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

import numpy as np
from torch import Tensor, nn

from lookup_tables.blocks import Block
from lookup_tables.graphs import Array
from nas_service.errors import Unsupported

B = TypeVar("B", bound=Block)


class BlockModule(nn.Module, ABC, Generic[B]):
    """A block with weights: computes in inference what the block's ONNX graph does.

    The entry-point group is `nas_service.block_modules`, an entry the class, named as the kind of
    block that it is made from.
    """

    output_names: ClassVar[tuple[str, ...]] = ("logits",)
    """Of a network that ends in it, as files have them."""

    def __init__(self, block: B) -> None:
        super().__init__()
        self.block = block
        self.apart = False
        """Whether several outputs are given one by one, as files have them, or as one tensor."""

    @abstractmethod
    def weights(self) -> dict[str, Array]:
        """Weights by the names of `Block.weight_shapes`, normalisation folded in."""

    def run_as(self, block: B, *inputs: Tensor) -> Tensor:
        """The output at the sizes of a smaller block of its kind, with the leading weights.

        As a supernet trains it: normalisation by the statistics of the batch.

        Raises:
            Unsupported: blocks of this kind share no weights.
        """
        del inputs
        raise Unsupported(f"blocks of kind {block.kind} share no weights")

    def last_layers(self) -> list[nn.Module]:
        """Layers whose outputs are what a network is asked for, where a block has several."""
        return []

    def silence(self) -> None:
        """Start as near to passing the input on as the block can; nothing where it cannot."""


def array(tensor: Tensor) -> Array:
    """A tensor's numbers in single precision."""
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)
