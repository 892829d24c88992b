"""What was read of a source of signals, whatever its layout: windows with labels and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]
DRAWN = -1
"""The part of a window that the import draws."""


@dataclass(frozen=True)
class Windows:
    """Windows `(n, channels, steps)`, labels `(n,)`, groups `(n,)`, parts `(n,)` or `DRAWN`.

    Labels are texts or numbers as the source has them. Windows of one group stay on one side;
    without groups each window is one of its own.
    """

    inputs: FloatArray
    labels: Labels
    groups: IntArray | None
    part: IntArray
    layout: str
    channel_names: tuple[str, ...]
    rate_hz: float | None = None
    reading: Sequence[str] = ()
    notes: Sequence[str] = ()
    set_aside: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.inputs)


def require_finite(inputs: FloatArray, place: str) -> None:
    """Raise `InvalidData` with the first window, channel and step that is no number."""
    wrong = ~np.isfinite(inputs)
    if wrong.any():
        window, channel, step = (int(one[0]) for one in np.nonzero(wrong))
        raise InvalidData(
            f"{place}[{window}, {channel}, {step}] is not a number, as are "
            f"{int(wrong.sum()) - 1} others; signals are read without gaps: fill or cut them first",
            field=place,
        )
