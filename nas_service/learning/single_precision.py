"""Numbers as 32-bit floats, in which networks compute, where these still tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData

_LARGEST_LOSS = 0.02
"""Of the standard deviation of a channel: what rounding adds, as one."""
_EXACT_BYTES = 2
"""Integers and floats of so many bytes are 32-bit floats without rounding."""


def in_float32(
    values: npt.NDArray[Any], place: str, names: Sequence[str] | None = None
) -> npt.NDArray[np.float32]:
    """`values` `(n, channels, ...)` as 32-bit floats; `names` are those of the channels.

    A signal on a large offset would be lost without a word: 1e9 and its neighbours are 64 apart.

    Raises:
        InvalidData: rounding adds more than a fiftieth of a channel's standard deviation.
    """
    single = np.ascontiguousarray(values, dtype=np.float32)
    if values.dtype == np.float32 or values.dtype.itemsize <= _EXACT_BYTES:
        return single
    columns = [values] if values.ndim == 1 else list(values.swapaxes(0, 1))
    rounded = [single] if values.ndim == 1 else list(single.swapaxes(0, 1))
    for number, (column, of_column) in enumerate(zip(columns, rounded, strict=True)):
        if not np.isfinite(of_column).all():
            continue  # refused, with its place, by whoever reads it
        wide = column.astype(np.float64)
        spread, loss = float(np.std(wide)), float(np.std(wide - of_column))
        if loss > _LARGEST_LOSS * spread:
            which = f"channel {number}" if names is None else f"column {names[number]!r}"
            raise InvalidData(
                f"{place}: {which} has numbers around {float(np.mean(wide)):.4g} that differ by "
                f"{float(np.ptp(wide)):.4g} in all: too little for the 32-bit floats in which "
                "networks compute; take a constant off, or leave it out",
                field=place if names is None else names[number],
            )
    return single
