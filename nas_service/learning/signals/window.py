"""What enters and leaves a network on signals."""

from __future__ import annotations

from dataclasses import dataclass

SIGNAL = "signal"
MOST_STEPS, MOST_OUTPUTS = 64, 640
"""Windows are given back averaged to so many steps; fewer where channels are many."""
_LEAST_STEPS = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A `Sample`: steps of time, channels, and numbers that a network gives."""

    size: int
    channels: int
    outputs: int
    code: int = 0
    """Of networks that give the window back: numbers that all of it passes through; else 0."""

    @property
    def name(self) -> str:
        """See `Sample.name`."""
        return SIGNAL

    @property
    def n_outputs(self) -> int:
        """See `Sample.n_outputs`."""
        return self.outputs

    def input_shape(self, size: int) -> tuple[int, ...]:
        """See `Sample.input_shape`."""
        return (1, self.channels, size)

    def as_dict(self) -> dict[str, int]:
        """Plain JSON values."""
        code = {"code": self.code} if self.code else {}
        return {"size": self.size, "channels": self.channels, "outputs": self.outputs, **code}


def answer_steps(channels: int, steps: int) -> int:
    """Steps that a window is averaged to before it is compared with what a network gave."""
    return min(steps, max(_LEAST_STEPS, min(MOST_STEPS, MOST_OUTPUTS // channels)))
