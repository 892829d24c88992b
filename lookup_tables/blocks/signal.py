"""What families of blocks on signals share: channels and steps of time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from lookup_tables.blocks.arena import Arena, padded
from lookup_tables.blocks.base import Block, Layer
from lookup_tables.errors import LookupTableError

NARROW_STEP = 4
_SMALL_CHANNELS, _SMALL_STEPS = 4, 16


def kept_channels(channels: int, width: float) -> int:
    """Channels that a layer keeps: the nearest multiple of 4, at least 4, no more than it has."""
    kept = int(channels * width + NARROW_STEP / 2) // NARROW_STEP * NARROW_STEP
    return min(channels, max(NARROW_STEP, kept))


@dataclass(frozen=True, order=False)
class TemporalBlock(Block):
    """A block that looks over `kernel` steps, `dilation` apart; `steps` are those of its input.

    It is padded by half of what it looks over, so that stride 1 keeps the steps. The input is added
    where `residual`.
    """

    in_channels: int
    out_channels: int
    steps: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    residual: int = 0

    def __post_init__(self) -> None:
        for name, value in self.sizes.items():
            least = 0 if name == "residual" else 1
            if value < least:
                raise LookupTableError(f"{name} of a block is {value}, must be >= {least}")
        if self.kernel % 2 == 0:
            raise LookupTableError(f"kernel of a block is {self.kernel}, must be odd")
        if self.residual and (self.stride != 1 or self.in_channels != self.out_channels):
            raise LookupTableError("a residual block keeps its channels and has stride 1")

    @property
    def padding(self) -> int:
        """Steps of zeros on each side."""
        return self.dilation * (self.kernel // 2)

    @property
    def out_steps(self) -> int:
        """Steps of the output."""
        return -(-self.steps // self.stride)

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.in_channels, self.steps)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.out_channels, self.out_steps)

    @property
    def variant(self) -> str:
        """See `Block.variant`: dilated kernels run on other code."""
        return f"{self.kind}-k{self.kernel}" + ("-dilated" if self.dilation > 1 else "")

    def narrowed(self, width: float) -> Self:
        """See `Block.narrowed`; a signal's own channels, fewer than 4, stay."""
        kept = {
            name: kept_channels(getattr(self, name), width)
            for name in ("in_channels", "out_channels")
        }
        return replace(self, **kept)

    def small(self) -> Self:
        """See `Block.small`."""
        return replace(
            self,
            in_channels=_SMALL_CHANNELS,
            out_channels=_SMALL_CHANNELS,
            steps=max(_SMALL_STEPS, 2 * self.padding),
        )

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`; what layers hand on inside, and the input where it is added."""
        given = 0 if reads_sample else self.in_channels * self.steps
        made = self.output_numbers
        inside = self.numbers_between
        kept = given if self.residual else 0
        moments = [given + inside, kept + inside + made, kept + made * (2 if self.residual else 1)]
        return max(moments) if inside else max(given + made, kept + 2 * made if kept else 0)

    def arena(self) -> Arena:
        """What LiteRT holds before the first layer: the input, or a padded copy of it."""
        arena = Arena(self.in_channels * self.steps)
        if self.residual:
            arena.keep()
        steps = padded(self.steps, self.out_steps, self.kernel, self.stride, self.dilation)
        if steps > self.steps:
            arena.then(self.in_channels * steps)
        return arena

    @property
    def numbers_between(self) -> int:
        """Numbers that one layer of it hands to the next; 0 where there is a single one."""
        return 0

    @property
    def numbers_inside(self) -> int:
        """See `Block.numbers_inside`."""
        return 2 * self.numbers_between

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        return {
            "log_in_channels": math.log(self.in_channels),
            "log_out_channels": math.log(self.out_channels),
            "log_steps": math.log(self.steps),
            "kernel": float(self.kernel),
            "stride": float(self.stride),
            "dilated": float(self.dilation > 1),
            "residual": float(self.residual),
            "log_work": math.log(self.macs),
        }


def layer(block: TemporalBlock, inputs: int, outputs: int, taps: int) -> Layer:
    """A layer of a block at its output's steps."""
    return Layer(block.out_steps, inputs, outputs, taps)
