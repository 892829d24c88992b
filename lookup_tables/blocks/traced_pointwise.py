"""Traced operators that do a little for each number: sums, activations, normalisation, moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.traced import TracedBlock
from lookup_tables.errors import LookupTableError

SIMPLE, GATE, EXPONENTIAL, SOFTMAX, NORM, MOVE = range(1, 7)
"""Operations: sums and ReLU; hard sigmoids; SiLU, GELU and the like; softmax; layer normalisation;
what only puts numbers elsewhere. Operators that a runtime computes alike are one."""
_LAST = MOVE


@dataclass(frozen=True, order=False)
class TracedPointwiseBlock(TracedBlock):
    """`terms` tensors of `channels` by `positions` to one."""

    kind = "traced_pointwise"
    channel_sizes = ("channels",)
    small_sizes = {"channels": 8, "positions": 16}  # noqa: RUF012  # a constant
    told_apart = ("operation", "terms")

    operation: int
    terms: int
    channels: int
    positions: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            self.operation > _LAST
            or self.terms > 2
            or (self.terms == 2 and self.operation != SIMPLE)
        ):
            raise LookupTableError(
                f"{self.kind} has no operation {self.operation} of {self.terms} terms"
            )

    @property
    def variant(self) -> str:
        """See `Block.variant`."""
        return f"{self.kind}-{self.operation}-{self.terms}"

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        shape = (1, self.channels, self.positions)
        return {f"input{number}": shape for number in range(self.terms)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        moved = (1, self.positions, self.channels)
        return moved if self.operation == MOVE else (1, self.channels, self.positions)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`: it multiplies nothing."""
        return []

    @property
    def n_layers(self) -> int:
        """See `Block.n_layers`."""
        return 2 if self.operation in {EXPONENTIAL, GATE} else 1

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {"norm.weight": (self.positions,)} if self.operation == NORM else {}

    @property
    def weights(self) -> int:
        """See `Block.weights`: a scale for each position where it normalises."""
        return self.positions if self.operation == NORM else 0

    @property
    def parameters(self) -> int:
        """See `Block.parameters`."""
        return self.weights

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        (first, *more) = inputs
        if more:
            return graph.node("Add", [first, more[0]])
        if self.operation == SIMPLE:
            return graph.node("Relu", [first])
        if self.operation == GATE:
            return graph.node("Mul", [first, graph.node("HardSigmoid", [first])])
        if self.operation == EXPONENTIAL:
            return graph.node("Mul", [first, graph.node("Sigmoid", [first])])
        if self.operation == SOFTMAX:
            return graph.node("Softmax", [first], axis=-1)
        if self.operation == NORM:
            return graph.node("LayerNormalization", [first, "norm.weight"], axis=-1)
        return graph.node("Transpose", [first], perm=[0, 2, 1])

    def features(self) -> Mapping[str, float]:
        """See `Block.features`; a column an operation, their order means nothing."""
        told = dict(super().features())
        del told["operation"]
        return {
            **told,
            **{f"operation{one}": float(self.operation == one) for one in range(1, _LAST + 1)},
        }
