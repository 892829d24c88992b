"""The sum of `terms` tensors of one shape; of one tensor, that tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.image import ImageBlock
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class AddBlock(ImageBlock):
    """See the module's text."""

    kind = "add"

    terms: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.in_channels != self.out_channels:
            raise LookupTableError("out_channels of a sum are its in_channels")

    @classmethod
    def of(cls, channels: int, height: int, width: int, terms: int = 1) -> AddBlock:
        """A sum of so many feature maps."""
        return cls(channels, channels, height, width, terms)

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`: `input_0`, `input_1`, ..."""
        shape = (1, self.in_channels, self.height, self.width)
        return {f"input_{number}": shape for number in range(self.terms)}

    def layers(self) -> list[Layer]:
        """See `Block.layers`: it multiplies nothing."""
        return []

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {}

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        total = inputs[0]
        for name in inputs[1:]:
            total = graph.node("Add", [total, name])
        return total if len(inputs) > 1 else graph.node("Identity", inputs)

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`: a sum is written over one of its terms."""
        return 0 if reads_sample else self.input_numbers * self.terms
