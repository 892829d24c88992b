"""Traced linear layers: a product with weights for each of several rows, as for tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.traced import TracedBlock


@dataclass(frozen=True, order=False)
class TracedLinearBlock(TracedBlock):
    """`rows` by `in_features` to `rows` by `out_features`."""

    kind = "traced_linear"
    from_zero = frozenset({"relu"})
    channel_sizes = ("in_features", "out_features")
    small_sizes = {"rows": 4, "in_features": 8, "out_features": 8}  # noqa: RUF012  # a constant
    told_apart = ("relu",)

    rows: int
    in_features: int
    out_features: int
    relu: int = 0

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.rows, self.in_features)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.rows, self.out_features)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        return [Layer(self.rows, self.in_features, self.out_features, normalised=False)]

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {
            "linear.weight": (self.in_features, self.out_features),
            "linear.bias": (self.out_features,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        made = graph.node("MatMul", [inputs[0], "linear.weight"])
        made = graph.node("Add", [made, "linear.bias"])
        return graph.node("Relu", [made]) if self.relu else made
