"""What enters and leaves a network that names a class for every pixel."""

from __future__ import annotations

from dataclasses import dataclass

MASKED_IMAGE = "masked_image"
MIN_SIDE, MAX_SIDE = 16, 512
"""Pixels of pictures as they are stored."""


@dataclass(frozen=True, slots=True)
class MaskedImageShape:
    """A `Sample`: pixels a side, channels, classes, and pixels a side of masks."""

    size: int
    channels: int
    n_classes: int
    mask_side: int

    @property
    def name(self) -> str:
        """See `Sample.name`."""
        return MASKED_IMAGE

    @property
    def n_outputs(self) -> int:
        """See `Sample.n_outputs`: a number a class and pixel."""
        return self.n_classes * self.mask_side**2

    @property
    def answer(self) -> tuple[int, ...]:
        """See `answer_of`: a map a class."""
        return (self.n_classes, self.mask_side, self.mask_side)

    def input_shape(self, size: int) -> tuple[int, ...]:
        """See `Sample.input_shape`."""
        return (1, self.channels, size, size)

    def as_dict(self) -> dict[str, int]:
        """Plain JSON values."""
        return {
            "size": self.size,
            "channels": self.channels,
            "n_classes": self.n_classes,
            "mask_side": self.mask_side,
        }
