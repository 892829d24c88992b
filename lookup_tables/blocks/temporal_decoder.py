"""The end of an autoencoder on signals: a few numbers, and the window again made of them.

Maps are averaged to 8 places of time, a linear layer makes `code` numbers of all of them, and two
more make the window of these: what does not pass through so few numbers is not given back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from lookup_tables.blocks.base import Block, GraphBuilder, Layer
from lookup_tables.blocks.signal import kept_channels
from lookup_tables.errors import LookupTableError

PLACES = 8


@dataclass(frozen=True, order=False)
class TemporalDecoderBlock(Block):
    """See the module's text; `mid_channels` are between the code and the window."""

    kind = "temporal_decoder"
    shares_weights = True

    channels: int
    steps: int
    code: int
    mid_channels: int
    outputs: int

    def __post_init__(self) -> None:
        for name, value in self.sizes.items():
            if value < 1:
                raise LookupTableError(f"{name} of a block is {value}, must be >= 1")

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.channels, self.steps)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.outputs)

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`."""
        widths = (PLACES * self.channels, self.code, self.mid_channels, self.outputs)
        return [Layer(1, inputs, outputs, normalised=False) for inputs, outputs in pairwise(widths)]

    @property
    def weights(self) -> int:
        """See `Block.weights`; with the matrix that averages."""
        return super().weights + self.steps * PLACES

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        found: dict[str, tuple[int, ...]] = {"places.weight": (self.steps, PLACES)}
        for name, layer in zip(("code", "mid", "window"), self.layers(), strict=True):
            found[f"{name}.weight"] = (layer.outputs, layer.inputs)
            found[f"{name}.bias"] = (layer.outputs,)
        return found

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        x = graph.node("Flatten", [graph.node("MatMul", [inputs[0], "places.weight"])])
        for name in ("code", "mid"):
            linear = graph.node("Gemm", [x, f"{name}.weight", f"{name}.bias"], transB=1)
            x = graph.node("Relu", [linear])
        return graph.node("Gemm", [x, "window.weight", "window.bias"], transB=1)

    def narrowed(self, width: float) -> TemporalDecoderBlock:
        """See `Block.narrowed`; what all has to pass through stays as wide as it is."""
        return replace(
            self,
            channels=kept_channels(self.channels, width),
            mid_channels=kept_channels(self.mid_channels, width),
        )

    def small(self) -> TemporalDecoderBlock:
        """See `Block.small`."""
        return replace(self, channels=4, steps=16, code=4, mid_channels=4, outputs=8)

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        return {
            **{f"log_{name}": math.log(value) for name, value in self.sizes.items()},
            "log_work": math.log(self.macs),
        }
