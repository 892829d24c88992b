"""The predictor-guided sampler: score everything cheaply, spend evaluations where they pay.

Each batch refits the accuracy predictor on what was evaluated, scores the whole space (or, where
it is too large, a population evolved on predictions and costs), and proposes the networks that are
expected to add most to the front. Networks that were evaluated, or that equal one that was, are
never proposed; a share of the proposals is drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nas_service.search.acquisition import Improvement, Region, greedy
from nas_service.search.candidate_pool import (
    Pool,
    evolved_into_limits,
    initial_design,
    random_fresh,
)
from nas_service.search.pareto import non_dominated
from nas_service.search.sampling_problem import SamplingProblem
from nas_service.space.base import FloatArray, IntArray
from predictors.base import NODE_WEIGHTS, AccuracyPredictor, Prediction

MIN_EVALUATED = 4
"""So few evaluations teach a predictor nothing."""
FLOOR_QUANTILE = 0.1
"""Accuracy that nine in ten random networks within the limits exceed: less is no gain."""
_FLOOR_DRAWS = 1024


@dataclass(frozen=True, slots=True)
class Guidance:
    """How the guided sampler spends evaluations.

    `exploration` is the share of proposals drawn at random; `n_initial` evaluations come first,
    random but spread over the costs; `accuracy_floor` is the accuracy below which nothing counts
    (by default what a tenth of random networks within the limits is predicted to stay below).
    """

    n_initial: int = 8
    exploration: float = 0.05
    accuracy_floor: float | None = None
    population: int = 192
    generations: int = 30


def _planned(problem: SamplingProblem, pool: Pool, n: int, known: IntArray, seed: int) -> IntArray:
    """What is left of the initial design, which is the same whenever it is asked for."""
    planned = initial_design(problem, pool, n, np.random.default_rng([7, seed]))
    return planned[~pool.among(problem, planned, known)]


def _unguided(
    problem: SamplingProblem,
    pool: Pool,
    known: IntArray,
    n: int,
    generator: np.random.Generator,
) -> IntArray:
    """Random genotypes that keep the limits, evolved towards them where a space has few."""
    fresh = random_fresh(problem, pool, known, n, generator)
    if len(fresh) or pool.whole is not None:
        return fresh
    return evolved_into_limits(problem, pool, known, n, generator)


def propose(
    problem: SamplingProblem,
    pool: Pool,
    make_predictor: Callable[[], AccuracyPredictor],
    architectures: IntArray,
    accuracy: FloatArray,
    n: int,
    *,
    pending: IntArray | None = None,
    barred: IntArray | None = None,
    fitted: IntArray | None = None,
    seed: Sequence[int] = (0,),
    guidance: Guidance | None = None,
) -> IntArray:
    """The next genotypes to evaluate `(m, d)`, best first.

    Fewer than `n` while the initial evaluations come in, none in an exhausted space.

    Args:
        problem: what is searched.
        pool: candidates of the space.
        make_predictor: makes an unfitted predictor.
        architectures: evaluated so far `(e, a)`, canonical, in order.
        accuracy: of each `(e,)`.
        n: how many are wanted.
        pending: genotypes under evaluation `(p, d)`, counted as had at their predicted accuracy.
        barred: genotypes not to propose, whose accuracy is not known (failed ones).
        fitted: rows of what was evaluated that the predictor is fitted on and that the front of
            what is had lies among; None for all.
        seed: makes the random part repeatable; its first number alone plans the initial
            evaluations, so that they are spread the same whether asked for one by one or at once.
        guidance: how to spend them.
    """
    how = guidance or Guidance()
    generator = np.random.default_rng([7, *seed])
    none = np.empty((0, len(problem.space.decisions)), np.int64)
    busy, out = (none if given is None else given for given in (pending, barred))
    known = np.concatenate([architectures, problem.architectures(busy), problem.architectures(out)])
    initial = max(MIN_EVALUATED, how.n_initial)
    if len(architectures) < initial:
        due = max(min(n, initial - len(architectures) - len(busy)), 0)
        first = _planned(problem, pool, initial, known, seed[0])[:due]
        if len(first):
            return first
        if len(architectures) < MIN_EVALUATED:
            return _unguided(problem, pool, known, n, generator)
    predictor = make_predictor()
    rows = slice(None) if fitted is None else fitted
    predictor.fit(problem.features(architectures[rows]), accuracy[rows])
    spent = {"population": how.population, "generations": how.generations}
    candidates = pool.candidates(problem, predictor, architectures[rows], generator, **spent)
    fresh = candidates[~pool.among(problem, candidates, known) & (problem.excess(candidates) <= 0)]
    asked = how.accuracy_floor
    floor = _floor(problem, pool, predictor, fresh, generator) if asked is None else asked
    n_random = int((generator.random(n) < how.exploration).sum())
    chosen = fresh[:0]
    if len(fresh) and n > n_random:
        had = Had(architectures[rows], accuracy[rows], floor, busy)
        if len(busy):
            had = replace(had, busy_accuracy=_mean(problem, predictor, busy))
        prediction = predictor.predict(problem.features(problem.architectures(fresh)))
        chosen = fresh[most_gain(problem, pool, fresh, prediction, had, n - n_random)]
    known = np.concatenate([known, problem.architectures(chosen)])
    return np.concatenate([chosen, random_fresh(problem, pool, known, n - len(chosen), generator)])


def _floor(
    problem: SamplingProblem,
    pool: Pool,
    predictor: AccuracyPredictor,
    fresh: IntArray,
    generator: np.random.Generator,
) -> float:
    drawn = pool.draw(_FLOOR_DRAWS, generator)
    inside = drawn[problem.excess(drawn) <= 0]
    if len(inside) < MIN_EVALUATED:  # a tight limit: what was found within it has to do
        inside = fresh if len(fresh) else drawn
    if not len(inside):
        return 0.0
    return float(np.quantile(_mean(problem, predictor, inside), FLOOR_QUANTILE))


def _mean(
    problem: SamplingProblem, predictor: AccuracyPredictor, genotypes: IntArray
) -> FloatArray:
    return predictor.predict(problem.features(problem.architectures(genotypes))).mean


@dataclass(frozen=True, slots=True)
class Had:
    """What is evaluated, the accuracy below which nothing counts, and what is being evaluated.

    `busy` are genotypes whose accuracies are guessed.
    """

    architectures: IntArray
    accuracy: FloatArray
    floor: float
    busy: IntArray
    busy_accuracy: FloatArray = field(default_factory=lambda: np.empty(0))


def most_gain(
    problem: SamplingProblem, pool: Pool, fresh: IntArray, prediction: Prediction, had: Had, n: int
) -> list[int]:
    """Which `n` of the genotypes `fresh` are expected to add most to what is had."""
    costs = problem.costs_of(fresh)
    known = pool.deployments(had.architectures)
    known_costs = problem.costs_of(known)
    highest = problem.highest_costs
    if highest is None:
        highest = np.maximum(costs.max(axis=0), known_costs.max(axis=0))
    lowest = np.minimum(costs.min(axis=0), known_costs.min(axis=0))
    floor = float(problem.delivered_accuracy(np.array([had.floor]), fresh[:1])[0])
    levels = problem.delivered_accuracy(prediction.levels(), fresh)
    improvement = Improvement(Region(floor, highest, lowest), costs, levels, NODE_WEIGHTS)
    inside = problem.excess(known) <= 0
    each = len(known) // max(len(had.architectures), 1)
    achieved = problem.delivered_accuracy(np.repeat(had.accuracy, each), known)
    known_costs, achieved = known_costs[inside], achieved[inside]
    # what is dominated changes nothing of what is had
    kept = non_dominated(np.column_stack([-achieved, known_costs]))
    improvement.add(known_costs[kept], achieved[kept])
    if len(had.busy):
        guessed = problem.delivered_accuracy(had.busy_accuracy, had.busy)
        improvement.add(problem.costs_of(had.busy), guessed)
    twins = np.unique(pool.keys(problem.architectures(fresh)), return_inverse=True)[1]
    expected = problem.delivered_accuracy(prediction.mean, fresh)
    return greedy(improvement, costs, expected, twins, n, preference=pool.preference(fresh))
