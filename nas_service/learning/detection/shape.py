"""What enters and leaves a network that finds boxes."""

from __future__ import annotations

from dataclasses import dataclass

from lookup_tables.blocks.box_head import SIDES, cells_of

BOXED_IMAGE = "boxed_image"
MIN_SIDE, MAX_SIDE = 32, 512
"""Pixels of pictures as they are stored."""
_CELLS = 23
"""Most cells of the finer map a side."""


@dataclass(frozen=True, slots=True)
class BoxedImageShape:
    """A `Sample`: pixels a side, channels, classes."""

    size: int
    channels: int
    n_classes: int

    @property
    def name(self) -> str:
        """See `Sample.name`."""
        return BOXED_IMAGE

    @property
    def grid(self) -> int:
        """Cells a side of the finer map: the picture halved until at most 23 are left."""
        side = self.size
        while side > _CELLS:
            side = -(-side // 2)
        return side

    @property
    def n_outputs(self) -> int:
        """See `Sample.n_outputs`: a score a class and four distances, of every cell."""
        return (self.n_classes + SIDES) * cells_of(self.grid)

    def input_shape(self, size: int) -> tuple[int, ...]:
        """See `Sample.input_shape`."""
        return (1, self.channels, size, size)

    def as_dict(self) -> dict[str, int]:
        """Plain JSON values."""
        return {"size": self.size, "channels": self.channels, "n_classes": self.n_classes}
