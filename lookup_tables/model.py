"""What a loaded model is, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]

OPEN = -1
"""A size that each run may choose."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a model reads: a shape, in which a size may be `OPEN`, and a type."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Model(Protocol):
    """A loaded model; used from one thread at a time."""

    @property
    def inputs(self) -> Mapping[str, Input]: ...

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs of one run; arrays may be overwritten by the next."""
        ...


def joined(outputs: Sequence[Array]) -> Array:
    """The outputs of one run in an array of its own: several `(1, k, ...)` stand along `k`.

    A detector's scores and boxes are two, each with a range of its own in integers.
    """
    return np.array(outputs[0]) if len(outputs) == 1 else np.concatenate(list(outputs), axis=1)
