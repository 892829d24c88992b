"""Whether two graphs answered the same, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_TOLERANCE = 1e-3
"""By what share of its column's largest number one may differ from the other's."""
_LEAST = 1e-4
"""The same for columns of numbers near 0: of the largest number, or of 1 where that is larger."""


def same(found: Array, expected: Array) -> bool:
    """Whether numbers agree, each on the scale of its column along the second or the last axis."""
    if found.shape != expected.shape or not np.array_equal(
        np.isfinite(found), np.isfinite(expected)
    ):
        return False
    if not expected.size or not np.isfinite(expected).any():
        return True
    known = np.where(np.isfinite(expected), np.abs(expected.astype(np.float64)), 0.0)
    scale = np.full(known.shape, known.max())
    for axis in {min(1, known.ndim - 1), known.ndim - 1} if known.ndim else set():
        others = tuple(one for one in range(known.ndim) if one != axis)
        scale = np.minimum(scale, known.max(axis=others, keepdims=True))
    finite = np.isfinite(expected)
    gap = np.abs(np.where(finite, found, 0.0) - np.where(finite, expected, 0.0))
    return bool((gap <= _TOLERANCE * scale + _LEAST * min(1.0, known.max())).all())
