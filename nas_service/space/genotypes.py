"""Architectures with the deployment that each ships in: one, or many as arrays.

Stored and sent as one list: the positions of the architecture's values, then that of the
deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nas_service.space.base import IntArray


class Genotype(NamedTuple):
    """Positions of an architecture's values, and of the deployment among a search's deployments."""

    architecture: tuple[int, ...]
    deployment: int

    @classmethod
    def from_list(cls, values: Sequence[int]) -> Genotype:
        """The inverse of `as_list`."""
        *architecture, deployment = (int(v) for v in values)
        return cls(tuple(architecture), deployment)

    def as_list(self) -> list[int]:
        """As it is stored and sent."""
        return [*self.architecture, self.deployment]

    @property
    def row(self) -> IntArray:
        """The architecture as spaces read it: `(a,)`."""
        return np.array(self.architecture, dtype=np.int64)


@dataclass(frozen=True)
class Genotypes:
    """Architectures `(n, a)` and their deployments `(n,)`."""

    architectures: IntArray
    deployments: IntArray

    @classmethod
    def of(cls, rows: Iterable[Genotype]) -> Genotypes:
        """Many of one space."""
        every = list(rows)
        if not every:
            return cls(np.empty((0, 0), dtype=np.int64), np.empty(0, dtype=np.int64))
        return cls(
            np.array([one.architecture for one in every], dtype=np.int64),
            np.array([one.deployment for one in every], dtype=np.int64),
        )

    @classmethod
    def from_matrix(cls, matrix: IntArray) -> Genotypes:
        """The inverse of `matrix`."""
        return cls(matrix[:, :-1], matrix[:, -1])

    @property
    def matrix(self) -> IntArray:
        """As samplers see them, with the deployment as the last decision: `(n, a + 1)`."""
        return np.column_stack([self.architectures, self.deployments]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.deployments)

    def __getitem__(self, rows: IntArray | npt.NDArray[np.bool_] | slice) -> Genotypes:
        return Genotypes(self.architectures[rows], self.deployments[rows])

    def __iter__(self) -> Iterator[Genotype]:
        for row, deployment in zip(
            self.architectures.tolist(), self.deployments.tolist(), strict=True
        ):
            yield Genotype(tuple(row), deployment)
