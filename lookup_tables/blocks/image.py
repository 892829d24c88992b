"""What families of blocks on feature maps share: channels, height and width."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from lookup_tables.blocks.arena import padded
from lookup_tables.blocks.base import Block, Layer
from lookup_tables.errors import LookupTableError

CHANNEL_BLOCK = 16
"""Blocked layouts round channels up (ONNX Runtime's NCHWc: to 16 with AVX-512)."""
NARROW_STEP = 8
_SMALL = 8

_DEFAULTS = {
    "kernel": 1,
    "stride": 1,
    "mid_channels": 0,
    "se_channels": 0,
    "residual": 0,
    "terms": 1,
}
_SHORT = {
    "in_channels": "i",
    "out_channels": "o",
    "height": "h",
    "width": "w",
    "kernel": "k",
    "stride": "s",
    "mid_channels": "m",
    "se_channels": "se",
    "residual": "r",
    "terms": "t",
}
"""Sizes of a row of a table file, in the order of blocks; a family may lack some."""


def wide(channels: int) -> int:
    """Channels that a blocked layout makes room for."""
    return -(-channels // CHANNEL_BLOCK) * CHANNEL_BLOCK


def kept_channels(channels: int, width: float) -> int:
    """Channels that a layer keeps: the nearest multiple of 8, at least 8 and no more than it has.

    An image's one or three channels stay.
    """
    kept = int(channels * width + NARROW_STEP / 2) // NARROW_STEP * NARROW_STEP
    return min(channels, max(NARROW_STEP, kept))


@dataclass(frozen=True, order=False)
class ImageBlock(Block):
    """`height` and `width` are those of the input.

    Table files have one flat row for all of these families, as they did before families had sizes
    of their own: `in_channels`, `out_channels`, `height`, `width`, `kernel`, `stride`,
    `mid_channels`, `se_channels`, `residual`, `terms`.
    """

    in_channels: int
    out_channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for name, value in self.own_sizes.items():
            least = 0 if name in {"mid_channels", "se_channels", "residual"} else 1
            if value < least:
                raise LookupTableError(f"{name} of a block is {value}, must be >= {least}")
        if self.own_sizes.get("kernel", 1) % 2 == 0:  # a map would not keep its size
            kernel = self.own_sizes["kernel"]
            raise LookupTableError(f"kernel of a block is {kernel}, must be odd")

    @property
    def own_sizes(self) -> Mapping[str, int]:
        """The sizes that the family has, fixed ones included, by their names in rows."""
        return super().sizes

    @property
    def sizes(self) -> Mapping[str, int]:
        """See `Block.sizes`: the flat row."""
        own = self.own_sizes
        return {name: own.get(name, _DEFAULTS.get(name, 0)) for name in _SHORT}

    @classmethod
    def of_sizes(cls, sizes: Mapping[str, Any]) -> Self:
        """See `Block.of_sizes`; others may stand there with their default."""
        if unknown := sorted(set(sizes) - set(_SHORT)):
            raise LookupTableError(f"{cls.kind} has no {unknown[0]}")
        names = [one for one in cls.__dataclass_fields__ if one in sizes]
        try:
            made = cls(**{name: sizes[name] for name in names})
        except TypeError as error:
            raise LookupTableError(f"{cls.kind}: {error}") from error
        for name, value in sizes.items():
            if made.sizes[name] != value:
                raise LookupTableError(f"{name} of {cls.kind} is {made.sizes[name]}, not {value}")
        return made

    @property
    def key(self) -> str:
        """See `Block.key`; names every size that is not its default."""
        parts = [self.kind]
        for name, value in self.sizes.items():
            if value != _DEFAULTS.get(name):
                parts.append(f"{_SHORT[name]}{value}")
        return "-".join(parts)

    @property
    def variant(self) -> str:
        """See `Block.variant`: kind, kernel and number of terms."""
        return f"{self.kind}-k{self.sizes['kernel']}-t{self.sizes['terms']}"

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """See `Block.inputs`."""
        return {"input": (1, self.in_channels, self.height, self.width)}

    @property
    def step(self) -> int:
        """Pixels of the input for one of the output."""
        return int(getattr(self, "stride", 1))

    @property
    def out_height(self) -> int:
        """Height of the output."""
        return -(-self.height // self.step)

    @property
    def out_width(self) -> int:
        """Width of the output."""
        return -(-self.width // self.step)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `Block.output_shape`."""
        return (1, self.out_channels, self.out_height, self.out_width)

    @property
    def pixels_in(self) -> int:
        """Pixels of the input."""
        return self.height * self.width

    @property
    def pixels_out(self) -> int:
        """Pixels of the output."""
        return self.out_height * self.out_width

    @abstractmethod
    def layers(self) -> list[Layer]:
        """See `Block.layers`."""

    def narrowed(self, width: float) -> Self:
        """See `Block.narrowed`."""
        names = ("in_channels", "out_channels", "mid_channels", "se_channels")
        own = [name for name in names if name in self.__dataclass_fields__]
        return replace(self, **{name: kept_channels(getattr(self, name), width) for name in own})

    def small(self) -> Self:
        """See `Block.small`."""
        names = ("in_channels", "out_channels", "height", "width")
        return replace(
            self, **{name: _SMALL for name in names if name in self.__dataclass_fields__}
        )

    def padded_numbers(self, channels: int) -> int:
        """Of a padded copy of a map of so many channels as the input is; 0 where none is made."""
        kernel = int(getattr(self, "kernel", 1))
        height = padded(self.height, self.out_height, kernel, self.step)
        width = padded(self.width, self.out_width, kernel, self.step)
        return channels * height * width if height * width > self.pixels_in else 0

    @property
    def output_numbers(self) -> int:
        """See `Block.output_numbers`; channels as a blocked layout rounds them up."""
        return wide(self.out_channels) * self.pixels_out

    @property
    def input_numbers(self) -> int:
        """Numbers of one input, rounded up likewise."""
        return wide(self.in_channels) * self.pixels_in

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """See `Block.live_numbers`."""
        return (0 if reads_sample else self.input_numbers) + self.output_numbers

    def features(self) -> Mapping[str, float]:
        """See `Block.features`."""
        sizes = self.sizes
        middle = sizes["mid_channels"]
        return {
            "log_in_channels": math.log(self.in_channels),
            "log_out_channels": math.log(self.out_channels),
            "log_mid_channels": math.log(max(middle, 1)),
            "log_pixels": math.log(self.pixels_in),
            "kernel": float(sizes["kernel"]),
            "stride": float(sizes["stride"]),
            "gated": float(sizes["se_channels"] > 0),
            "expanded": float(middle != self.in_channels),
            "log_work": math.log(max(self.macs, self.pixels_out)),
        }

    def trend(self) -> Mapping[str, float]:
        """See `Block.trend`; wide kernels and gates are told apart."""
        sizes, plain = self.sizes, super().trend()
        return {
            **plain,
            "wide_kernel_macs": float(self.macs * (sizes["kernel"] > 3)),
            "gated_outputs": plain["outputs"] * (sizes["se_channels"] > 0),
        }


def convolution_shapes(
    name: str, outputs: int, inputs: int, kernel: int = 1
) -> dict[str, tuple[int, ...]]:
    """Weight and bias of a 2-d convolution."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}
