"""NSGA-II (Deb et al., 2002) on cheap scores, a whole generation at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nas_service.search.pareto import BoolArray, crowding, ranks
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.sampling import Choices, crossover, unique

Score = Callable[[IntArray], tuple[FloatArray, FloatArray]]
"""Losses `(n, m)` and constraint violations `(n,)`, zero where feasible."""


def evolve(
    space: Choices,
    score: Score,
    generator: np.random.Generator,
    *,
    start: IntArray,
    population: int = 128,
    generations: int = 25,
    rate: float = 0.05,
) -> IntArray:
    """Every distinct genotype that was ever in the population or its offspring: `(n, d)`."""
    pool = unique(start)
    losses, violation = score(pool)
    archive = [pool]
    for _ in range(generations):
        keep = _select(losses, violation, population)
        pool, losses, violation = pool[keep], losses[keep], violation[keep]
        mothers = pool[generator.integers(0, len(pool), population)]
        fathers = pool[generator.integers(0, len(pool), population)]
        children = _mutated(space, crossover(mothers, fathers, generator), generator, rate)
        children = unique(children[space.valid(children)])
        if not len(children):
            continue
        child_losses, child_violation = score(children)
        archive.append(children)
        pool = np.concatenate([pool, children])
        losses = np.concatenate([losses, child_losses])
        violation = np.concatenate([violation, child_violation])
    return unique(np.concatenate(archive))


def _select(losses: FloatArray, violation: FloatArray, n: int) -> IntArray:
    """The `n` best rows: feasible before infeasible, then by front, then by crowding."""
    if len(losses) <= n:
        return np.arange(len(losses))
    feasible: BoolArray = violation <= 0
    level = np.full(len(losses), np.inf)
    spread = np.zeros(len(losses))
    if feasible.any():
        inner = ranks(losses[feasible]).astype(np.float64)
        level[feasible] = inner
        distances = np.zeros(len(inner))
        for front in np.unique(inner):
            rows = inner == front
            distances[rows] = crowding(losses[feasible][rows])
        spread[feasible] = distances
    order = np.lexsort((-spread, violation, level))
    return np.asarray(order[:n])


def _mutated(
    space: Choices, genotypes: IntArray, generator: np.random.Generator, rate: float
) -> IntArray:
    n, d = genotypes.shape
    sizes = np.array([decision.size for decision in space.decisions], dtype=np.int64)
    change = generator.random((n, d)) < rate
    change[np.arange(n), generator.integers(0, d, n)] = True
    drawn = generator.integers(0, sizes, (n, d))
    return space.canonical(np.where(change, drawn, genotypes))
