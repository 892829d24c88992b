"""Genotypes drawn from a space, and their neighbours."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nas_service.errors import Infeasible
from nas_service.space.base import Decision, IntArray, SearchSpace

_MAX_DRAWS = 200
_UNREPAIRED = 10
"""Draws of which what is not valid is only left out."""
_RARE = 0.02
"""The share of valid ones below which others are mended."""
_REPAIRED_AT_ONCE = 256


class Choices(Protocol):
    """The part of a space, or of one with deployments, that is drawn from."""

    @property
    def decisions(self) -> tuple[Decision, ...]: ...

    def canonical(self, genotypes: IntArray) -> IntArray: ...

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]: ...


@runtime_checkable
class Repairing(Protocol):
    """A space that changes genotypes until they are valid."""

    def repaired(self, genotypes: IntArray, generator: np.random.Generator) -> IntArray:
        """Valid canonical genotypes near to those `(n, d)`, fewer perhaps."""
        ...


def sizes(space: SearchSpace) -> IntArray:
    """Number of values of each decision: `(d,)`."""
    return np.array([decision.size for decision in space.decisions], dtype=np.int64)


def uniform(space: SearchSpace, n: int, generator: np.random.Generator) -> IntArray:
    """`n` canonical genotypes of valid networks, drawn uniformly over genotypes: `(n, d)`.

    Raises:
        Infeasible: there are hardly any.
    """
    found = up_to(space, n, generator, draws=_MAX_DRAWS)
    if len(found) < n:
        raise Infeasible(f"space {space.name} gave too few valid networks in {_MAX_DRAWS} draws")
    return found


def up_to(space: Choices, n: int, generator: np.random.Generator, *, draws: int) -> IntArray:
    """The same, fewer where so many draws did not give them.

    Where rules let hardly any pass, others are drawn and changed until they keep them: those are
    spread over the space, but not evenly.
    """
    most = np.array([decision.size for decision in space.decisions], dtype=np.int64)
    found: list[IntArray] = []
    lacking = n
    for number in range(draws):
        drawn = generator.integers(0, most, (max(lacking, 8), len(most)))
        kept = drawn[space.valid(drawn)][:lacking]
        rare = number >= _UNREPAIRED and len(kept) < _RARE * len(drawn)
        if rare and isinstance(space, Repairing):
            mended = space.repaired(drawn[:_REPAIRED_AT_ONCE], generator)
            kept = np.concatenate([kept, mended])[:lacking]
        found.append(kept)
        lacking -= len(kept)
        if not lacking:
            break
    return space.canonical(np.concatenate(found))


def distinct(space: SearchSpace, n: int, generator: np.random.Generator) -> IntArray:
    """Up to `n` different networks: `(m, d)`, fewer where the space has no more."""
    pool = unique(uniform(space, 2 * n, generator))
    for _ in range(20):
        if len(pool) >= n:
            break
        pool = unique(np.concatenate([pool, uniform(space, 2 * n, generator)]))
    return pool[:n]


def unique(genotypes: IntArray) -> IntArray:
    """The distinct rows, in order of first appearance."""
    _, first = np.unique(_hashed(genotypes), return_index=True)
    return genotypes[np.sort(first)]


def _hashed(genotypes: IntArray) -> npt.NDArray[np.uint64]:
    """A number a row: equal for equal rows, and for others by a chance of 1 in 2^64."""
    factors = np.random.default_rng(64).integers(1, 2**63, genotypes.shape[1], dtype=np.uint64)
    rows = genotypes.astype(np.uint64) + np.uint64(1)
    return np.asarray((rows * (2 * factors + np.uint64(1))).sum(axis=1, dtype=np.uint64))


def mutate(
    space: SearchSpace, genotypes: IntArray, generator: np.random.Generator, *, rate: float
) -> IntArray:
    """Each decision redrawn with probability `rate`, at least one a row: `(n, d)`, canonical."""
    n, d = genotypes.shape
    change = generator.random((n, d)) < rate
    change[np.arange(n), generator.integers(0, d, n)] = True
    drawn = generator.integers(0, sizes(space), (n, d))
    return space.canonical(np.where(change, drawn, genotypes))


def crossover(first: IntArray, second: IntArray, generator: np.random.Generator) -> IntArray:
    """Each decision from one parent or the other, evenly: `(n, d)`."""
    return np.where(generator.random(first.shape) < 0.5, first, second)
