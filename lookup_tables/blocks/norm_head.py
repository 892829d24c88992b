"""The end of a NAS-Bench-201 network: scale and shift, ReLU, global average pool, linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.head import VectorHeadBlock, classify


@dataclass(frozen=True, order=False)
class NormHeadBlock(VectorHeadBlock):
    """See the module's text."""

    kind = "norm_head"

    def layers(self) -> list[Layer]:
        """See `Block.layers`."""
        return [Layer(1, self.in_channels, self.out_channels, normalised=False)]

    @property
    def parameters(self) -> int:
        """See `Block.parameters`; with the scale and the shift."""
        return super().parameters + 2 * self.in_channels

    @property
    def weights(self) -> int:
        """See `Block.weights`; there is no convolution to fold them into."""
        return super().weights + 2 * self.in_channels

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        shape = (1, self.in_channels, 1, 1)
        return {
            "norm.scale": shape,
            "norm.shift": shape,
            "linear.weight": (self.out_channels, self.in_channels),
            "linear.bias": (self.out_channels,),
        }

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        scaled = graph.node("Mul", [inputs[0], "norm.scale"])
        return classify(graph, graph.node("Relu", [graph.node("Add", [scaled, "norm.shift"])]))
