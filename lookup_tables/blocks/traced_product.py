"""Traced products of two activations, as in attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.traced import TracedBlock


@dataclass(frozen=True, order=False)
class TracedProductBlock(TracedBlock):
    """`batch` times: `rows` by `inner` with `inner` by `columns`."""

    kind = "traced_product"
    small_sizes = {"batch": 2, "rows": 4, "inner": 4, "columns": 4}  # noqa: RUF012  # a constant

    batch: int
    rows: int
    inner: int
    columns: int

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {
            "left": (1, self.batch, self.rows, self.inner),
            "right": (1, self.batch, self.inner, self.columns),
        }

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.batch, self.rows, self.columns)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`: it has no weights."""
        return []

    @property
    def macs(self) -> int:
        """See `Block.macs`."""
        return self.batch * self.rows * self.inner * self.columns

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {}

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        return graph.node("MatMul", [inputs[0], inputs[1]])
