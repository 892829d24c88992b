"""Files of prepared samples: what networks read, what they answered, what would have been right.

An `.npz` of `inputs` `(n, ...)`, and where they are known `outputs` and `targets`; read without
unpickling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_BEFORE = {"inputs": "images", "outputs": "logits", "targets": "labels"}
"""What earlier versions called them: their files are still read."""


def save_samples(path: Path, **arrays: Array) -> Path:
    """Write `inputs`, `outputs` and `targets`, whichever are given."""
    assert set(arrays) <= set(_BEFORE)
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return path


def read_samples(path: Path, name: str = "inputs") -> Array:
    """One of the arrays of a file."""
    with np.load(path, allow_pickle=False) as arrays:
        found: Array = arrays[name if name in arrays else _BEFORE[name]]
    return found
