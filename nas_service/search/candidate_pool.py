"""Where a sampler's candidates come from: the whole space where it is small, else evolution."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from nas_service.search.evolve import evolve
from nas_service.search.pareto import non_dominated
from nas_service.search.sampling_problem import BoolArray, SamplingProblem
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.sampling import Choices, unique, up_to
from nas_service.space.stages import AlikeInStages, Stage
from predictors.base import AccuracyPredictor

MAX_ENUMERATED = 1_000_000
"""Genotypes of a space that is scored as a whole."""
UPPER_PREFERENCE = 4.0
"""How many times as much the lower level of a space has to promise to be taken."""
_DRAWS = 40


class Pool:
    """Candidates of one problem; made once, used for every batch.

    Rows are told apart by their bytes, so that finding the known ones among a million is a sort
    and not a loop. Where the space has `stages`, networks of its upper level are preferred.
    """

    def __init__(self, problem: SamplingProblem, stages: Sequence[Stage] = ()) -> None:
        self._problem = problem
        self._upper = AlikeInStages(problem.space, stages) if stages else None
        sizes = np.array([decision.size for decision in problem.space.decisions], dtype=np.int64)
        total = float(np.prod(sizes.astype(np.float64)))
        self.whole: IntArray | None = (
            enumerate_space(problem.space) if total <= MAX_ENUMERATED else None
        )
        n_architecture = problem.architectures(np.zeros((1, len(sizes)), np.int64)).shape[1]
        rest = [range(int(size)) for size in sizes[n_architecture:]]
        self.width = n_architecture
        self._rest = np.array(list(product(*rest)), dtype=np.int64)  # one empty row for no rest

    def preference(self, candidates: IntArray) -> FloatArray:
        """By what their expected gain is multiplied: `(n,)`."""
        if self._upper is None:
            return np.ones(len(candidates))
        alike = (self._upper.canonical(candidates) == candidates).all(axis=1)
        return np.where(alike, UPPER_PREFERENCE, 1.0)

    def first(self, n: int, generator: np.random.Generator) -> IntArray:
        """Genotypes to begin with, `n` or fewer: of the upper level where there is one."""
        drawn = self.draw(n, generator) if self.whole is None else self.whole
        if self._upper is None or not len(drawn):
            return drawn
        upper = np.unique(self._upper.canonical(drawn), axis=0)
        upper = upper[self._problem.space.valid(upper)]
        return upper if len(upper) else drawn

    def draw(self, n: int, generator: np.random.Generator) -> IntArray:
        """`n` valid canonical genotypes, uniform over the space's networks or its genotypes."""
        if self.whole is not None:
            return (
                self.whole[generator.integers(0, len(self.whole), n)]
                if len(self.whole)
                else self.whole
            )
        return up_to(self._problem.space, n, generator, draws=_DRAWS)

    def deployments(self, architectures: IntArray) -> IntArray:
        """Every genotype of each architecture, architecture by architecture."""
        n, r = len(architectures), len(self._rest)
        return np.column_stack(
            [np.repeat(architectures, r, axis=0), np.tile(self._rest, (n, 1))]
        ).astype(np.int64)

    def keys(self, rows: IntArray) -> npt.NDArray[np.void]:
        """One value a row, equal for equal rows."""
        flat = np.ascontiguousarray(rows, dtype=np.int64)
        return flat.view(np.dtype((np.void, flat.dtype.itemsize * max(flat.shape[1], 1)))).ravel()

    def among(self, problem: SamplingProblem, candidates: IntArray, known: IntArray) -> BoolArray:
        """Which candidates' architectures are known: `(n,)`."""
        rows = problem.architectures(candidates)
        mixed, of_known = _mixed(rows), _mixed(known)
        found = np.isin(mixed, of_known)
        if found.any():  # numbers are sorted far sooner than rows, and equal ones are looked at
            alike = known[np.isin(of_known, mixed[found])]
            found[found] = np.isin(self.keys(rows[found]), self.keys(alike))
        return found

    def candidates(
        self,
        problem: SamplingProblem,
        predictor: AccuracyPredictor,
        architectures: IntArray,
        generator: np.random.Generator,
        *,
        population: int,
        generations: int,
    ) -> IntArray:
        """The whole space, or what a population evolved on predictions and costs leaves."""
        if self.whole is not None:
            return self.whole

        def score(genotypes: IntArray) -> tuple[FloatArray, FloatArray]:
            mean = predictor.predict(problem.features(problem.architectures(genotypes))).mean
            achieved = problem.delivered_accuracy(mean, genotypes)
            losses = np.column_stack([1.0 - achieved, problem.costs_of(genotypes)])
            return losses, np.maximum(problem.excess(genotypes), 0.0)

        had = self.deployments(architectures)
        losses, violation = score(had)
        inside = violation <= 0
        start = had[inside][non_dominated(losses[inside])] if inside.any() else had[:0]
        spent = {"population": population, "generations": generations}
        start = np.concatenate([start, self.draw(population, generator)])
        found = evolve(problem.space, score, generator, start=start, **spent)
        if self._upper is None:
            return found
        above = self._upper.canonical(start)
        above = above[problem.space.valid(above)]
        if not len(above):
            return found
        return unique(
            np.concatenate([found, evolve(self._upper, score, generator, start=above, **spent)])
        )


def _mixed(rows: IntArray) -> npt.NDArray[np.uint64]:
    """A number a row `(n,)`, the same for equal rows and hardly ever for others."""
    weights = np.random.default_rng(0).integers(0, 2**64, rows.shape[1], dtype=np.uint64)
    return np.asarray(rows.astype(np.uint64) @ weights)


def enumerate_space(space: Choices) -> IntArray:
    """Every network of a space once: `(n, d)`."""
    sizes = [decision.size for decision in space.decisions]
    rows = np.indices(sizes).reshape(len(sizes), -1).T.astype(np.int64)
    rows = rows[space.valid(rows)]
    if not len(rows):
        return rows
    return np.asarray(np.unique(space.canonical(rows), axis=0))


def random_fresh(
    problem: SamplingProblem, pool: Pool, known: IntArray, n: int, generator: np.random.Generator
) -> IntArray:
    """Up to `n` random feasible genotypes of different architectures, none of them known."""
    if n <= 0:
        return np.empty((0, len(problem.space.decisions)), dtype=np.int64)
    if pool.whole is not None:
        return _first_of_each(problem, pool, generator.permutation(pool.whole), known, n)
    drawn = [pool.draw(16 * n + 48, generator)]
    for _ in range(_DRAWS):
        found = _first_of_each(problem, pool, np.concatenate(drawn), known, n)
        if len(found) == n:
            break
        drawn.append(pool.draw(16 * n + 48, generator))
    return found


def initial_design(
    problem: SamplingProblem, pool: Pool, n: int, generator: np.random.Generator
) -> IntArray:
    """`n` random feasible genotypes, one from each n-th of them by the (first) cost, shuffled."""
    drawn = pool.first(4096, generator)
    none = np.empty((0, pool.width), dtype=np.int64)
    fresh = _first_of_each(problem, pool, generator.permutation(drawn), none, len(drawn))
    if not len(fresh):
        return fresh
    order = np.argsort(problem.costs_of(fresh)[:, 0], kind="stable")
    parts = [part for part in np.array_split(order, n) if len(part)]
    picks = np.array([part[generator.integers(len(part))] for part in parts], dtype=np.int64)
    return np.asarray(fresh[generator.permutation(picks)])


def evolved_into_limits(
    problem: SamplingProblem, pool: Pool, known: IntArray, n: int, generator: np.random.Generator
) -> IntArray:
    """Up to `n` feasible genotypes where random ones hardly ever are: evolved to the limits."""

    def score(genotypes: IntArray) -> tuple[FloatArray, FloatArray]:
        violation = np.maximum(problem.excess(genotypes), 0.0)
        return violation[:, None], violation

    met = evolve(problem.space, score, generator, start=pool.draw(192, generator), population=192)
    return _first_of_each(problem, pool, generator.permutation(met), known, n)


def _first_of_each(
    problem: SamplingProblem, pool: Pool, genotypes: IntArray, known: IntArray, n: int
) -> IntArray:
    feasible = genotypes[problem.excess(genotypes) <= 0] if len(genotypes) else genotypes
    fresh = feasible[~pool.among(problem, feasible, known)]
    if not len(fresh):
        return fresh
    _, first = np.unique(pool.keys(problem.architectures(fresh)), return_index=True)
    return fresh[np.sort(first)[:n]]
