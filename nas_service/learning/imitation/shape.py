"""What enters and leaves a network that imitates another one."""

from __future__ import annotations

from dataclasses import dataclass

ARRAY = "array"


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """A `Sample` of `rank` axes beside the batch: channels, rows and columns, as far as there are.

    `size` is the last axis. A network may read square maps of another side, nothing else of
    another size.
    """

    size: int
    outputs: int
    rank: int
    channels: int = 1
    rows: int = 1

    @property
    def name(self) -> str:
        """See `Sample.name`."""
        return ARRAY

    @property
    def n_outputs(self) -> int:
        """See `Sample.n_outputs`."""
        return self.outputs

    def input_shape(self, size: int) -> tuple[int, ...]:
        """See `Sample.input_shape`."""
        if self.rank == 1:
            return (1, size)
        if self.rank == 2:
            return (1, self.channels, size)
        square = self.rows == self.size
        return (1, self.channels, size if square else self.rows, size)

    def as_dict(self) -> dict[str, int]:
        """Plain JSON values."""
        return {
            "size": self.size,
            "outputs": self.outputs,
            "rank": self.rank,
            "channels": self.channels,
            "rows": self.rows,
        }
