"""What enters and leaves a network that finds boxes."""

from __future__ import annotations

from dataclasses import dataclass

from lookup_tables.blocks.box_head import SIDES, cells_of
from nas_service.space.mbconv import PLACES, halvings

BOXED_IMAGE = "boxed_image"
MIN_SIDE, MAX_SIDE = 32, 512
"""Pixels of pictures as they are stored."""


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
        """Cells a side of the finer map: as large as the last map of `mbconv`."""
        side = self.size
        for _ in range(halvings(self.size, PLACES)):
            side = -(-side // 2)
        return side

    @property
    def n_outputs(self) -> int:
        """See `Sample.n_outputs`: a score a class and four distances, of every cell."""
        return (self.n_classes + SIDES) * cells_of(self.grid)

    @property
    def answer(self) -> tuple[int, ...]:
        """See `answer_of`: a row a class and four of distances, a column a cell."""
        return (self.n_classes + SIDES, cells_of(self.grid))

    def input_shape(self, size: int) -> tuple[int, ...]:
        """See `Sample.input_shape`."""
        return (1, self.channels, size, size)

    def as_dict(self) -> dict[str, int]:
        """Plain JSON values."""
        return {"size": self.size, "channels": self.channels, "n_classes": self.n_classes}
