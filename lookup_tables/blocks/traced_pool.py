"""Traced pools over one or two dimensions: the mean or the largest of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookup_tables.blocks.base import GraphBuilder, Layer
from lookup_tables.blocks.traced import TracedBlock
from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, order=False)
class TracedPoolBlock(TracedBlock):
    """`height` and `width` are those of the input; a window as large as it is a global pool."""

    kind = "traced_pool"
    from_zero = frozenset({"pad", "largest"})
    channel_sizes = ("channels",)
    told_apart = ("largest", "stride")

    channels: int
    height: int
    width: int
    kernel_height: int
    kernel_width: int
    stride: int = 1
    pad: int = 0
    largest: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.output_shape) < 1 or 2 * self.pad > min(self.kernel_height, self.kernel_width):
            raise LookupTableError(f"the window of {self.kind} does not fit its input")

    @property
    def everything(self) -> bool:
        """Whether the window is the whole input."""
        return (self.kernel_height, self.kernel_width) == (self.height, self.width)

    @property
    def variant(self) -> str:
        """See `Block.variant`."""
        return f"{self.kind}-{'max' if self.largest else 'mean'}"

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.channels, self.height, self.width)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (
            1,
            self.channels,
            (self.height + 2 * self.pad - self.kernel_height) // self.stride + 1,
            (self.width + 2 * self.pad - self.kernel_width) // self.stride + 1,
        )

    def layers(self) -> Sequence[Layer]:
        """See `Block.layers`: it multiplies nothing."""
        return []

    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.weight_shapes`."""
        return {}

    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """See `Block.build`."""
        if self.everything and not self.pad:
            return graph.node("GlobalMaxPool" if self.largest else "GlobalAveragePool", inputs)
        window = {
            "kernel_shape": [self.kernel_height, self.kernel_width],
            "strides": [self.stride] * 2,
            "pads": [self.pad] * 4,
        }
        if self.largest:
            return graph.node("MaxPool", inputs, **window)
        return graph.node("AveragePool", inputs, count_include_pad=1, **window)

    def small(self) -> TracedPoolBlock:
        """See `Block.small`."""
        if self.everything and not self.pad:
            return replace(
                self, channels=8, height=4, width=4, kernel_height=4, kernel_width=4, stride=1
            )
        sides = {"height": self.kernel_height + 8, "width": self.kernel_width + 8}
        return replace(self, channels=8, **sides)
