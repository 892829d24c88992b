"""An architecture space with the precision it ships in as one more decision.

The architecture's decisions keep their positions; `precision` comes last. Cost is that of the
precision's target, accuracy that of the architecture with what the precision does to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nas_service.space.base import Decision, IntArray, SearchSpace


class DeploymentSpace:
    """Genotypes `(n, d + 1)`: an architecture's, then the position of its precision."""

    def __init__(self, space: SearchSpace, precisions: tuple[str, ...]) -> None:
        self.architectures = space
        self.precisions = precisions
        self.decisions = (*space.decisions, Decision("precision", precisions, ordered=False))

    def split(self, genotypes: IntArray) -> tuple[IntArray, IntArray]:
        """Architectures `(n, d)` and precisions `(n,)`."""
        return genotypes[:, :-1], genotypes[:, -1]

    def join(self, architectures: IntArray, precision: IntArray) -> IntArray:
        """The inverse of `split`."""
        return np.column_stack([architectures, precision]).astype(np.int64)

    def every_precision(self, architectures: IntArray) -> IntArray:
        """Each architecture once a precision, architecture by architecture: `(n * p, d + 1)`."""
        n, p = len(architectures), len(self.precisions)
        return self.join(np.repeat(architectures, p, axis=0), np.tile(np.arange(p), n))

    def canonical(self, genotypes: IntArray) -> IntArray:
        """Canonical architectures, precisions as they are."""
        architectures, precision = self.split(genotypes)
        return self.join(self.architectures.canonical(architectures), precision)

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Rows whose architecture is a network."""
        return self.architectures.valid(genotypes[:, :-1])
