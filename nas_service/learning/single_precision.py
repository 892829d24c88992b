"""Numbers as 32-bit floats, in which networks compute, where these still tell them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData

FloatArray = npt.NDArray[np.float64]
_LARGEST_LOSS = 0.02
"""Of the standard deviation of a channel: what rounding adds, as one."""
_NOTHING = 1e-12
"""Of the numbers themselves: what 64-bit floats add by rounding is no signal."""
_EXACT_BYTES = 2
"""Integers and floats of so many bytes are 32-bit floats without rounding."""


class Rounding:
    """What 32-bit floats lose of one channel, over all arrays that are added."""

    def __init__(self) -> None:
        self._n = 0
        self._from = 0.0
        self._sums = np.zeros(4)
        """Of numbers less the first one, their squares, of losses, their squares."""
        self._largest = 0.0
        self._ends = np.inf, -np.inf

    def add(self, wide: FloatArray, single: npt.NDArray[np.float32]) -> None:
        """Numbers as they are, and rounded: `(n,)` both, finite."""
        if not self._n:
            self._from = float(wide.flat[0])
        apart, lost = wide - self._from, wide - single
        self._n += wide.size
        self._sums += [one.sum() for one in (apart, apart**2, lost, lost**2)]
        self._largest = max(self._largest, float(np.abs(wide).max()))
        self._ends = min(self._ends[0], float(wide.min())), max(self._ends[1], float(wide.max()))

    def require_little(self, which: str, field: str) -> None:
        """Raise `InvalidData` where more is lost than a fiftieth of the standard deviation.

        A signal on a large offset would be lost without a word: 1e9 and its neighbours are 64
        apart.
        """
        if not self._n:
            return
        first, second, lost, squared = self._sums / self._n
        spread, loss = np.sqrt(max(second - first**2, 0.0)), np.sqrt(max(squared - lost**2, 0.0))
        if spread <= _NOTHING * self._largest or loss <= _LARGEST_LOSS * spread:
            return
        raise InvalidData(
            f"{which} has numbers around {self._from + first:.4g} that differ by "
            f"{self._ends[1] - self._ends[0]:.4g} in all: too little for the 32-bit floats in "
            "which networks compute; take a constant off, or leave it out",
            field=field,
        )


def require_float32(values: npt.NDArray[Any], field: str) -> None:
    """Raise `InvalidData` where rounding to 32-bit floats loses a channel of `(n, channels, ...)`.

    Numbers that are not finite are for others to refuse, with their places.
    """
    if values.dtype == np.float32 or values.dtype.itemsize <= _EXACT_BYTES:
        return
    for number, channel in enumerate([values] if values.ndim == 1 else values.swapaxes(0, 1)):
        wide = channel.astype(np.float64)
        single = channel.astype(np.float32)
        if np.isfinite(single).all():
            rounding = Rounding()
            rounding.add(wide, single)
            rounding.require_little(f"{field}: channel {number}", field)
