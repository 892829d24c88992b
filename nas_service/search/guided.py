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
from nas_service.search.task import SearchTask
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


def propose(
    task: SearchTask,
    pool: Pool,
    make_predictor: Callable[[], AccuracyPredictor],
    architectures: IntArray,
    accuracy: FloatArray,
    n: int,
    *,
    pending: IntArray | None = None,
    barred: IntArray | None = None,
    seed: Sequence[int] = (0,),
    guidance: Guidance | None = None,
) -> IntArray:
    """The next genotypes to evaluate `(m, d)`, best first.

    Fewer than `n` while the initial evaluations come in, none in an exhausted space.

    Args:
        task: what is searched.
        pool: candidates of the space.
        make_predictor: makes an unfitted predictor.
        architectures: evaluated so far `(e, a)`, canonical, in order.
        accuracy: of each `(e,)`.
        n: how many are wanted.
        pending: genotypes under evaluation `(p, d)`, counted as had at their predicted accuracy.
        barred: genotypes not to propose, whose accuracy is not known (failed ones).
        seed: makes the random part repeatable; its first number alone plans the initial
            evaluations, so that they are spread the same whether asked for one by one or at once.
        guidance: how to spend them.
    """
    how = guidance or Guidance()
    generator = np.random.default_rng([7, *seed])
    none = np.empty((0, len(task.space.decisions)), np.int64)
    busy = none if pending is None else pending
    out = none if barred is None else barred
    known = np.concatenate([architectures, task.architectures(busy), task.architectures(out)])
    wanted = max(MIN_EVALUATED, how.n_initial)
    if len(architectures) < wanted:
        planned = initial_design(task, pool, wanted, np.random.default_rng([7, seed[0]]))
        planned = planned[~pool.among(task, planned, known)]
        first = planned[: max(min(n, wanted - len(architectures) - len(busy)), 0)]
        if len(first):
            return first
        if len(architectures) < MIN_EVALUATED:
            fresh = random_fresh(task, pool, known, n, generator)
            if len(fresh) or pool.whole is not None:
                return fresh
            return evolved_into_limits(task, pool, known, n, generator)
    predictor = make_predictor()
    predictor.fit(task.features(architectures), accuracy)
    candidates = pool.candidates(
        task,
        predictor,
        architectures,
        generator,
        population=how.population,
        generations=how.generations,
    )
    fresh = candidates[~pool.among(task, candidates, known) & (task.excess(candidates) <= 0)]
    floor = how.accuracy_floor
    if floor is None:
        floor = _floor(task, pool, predictor, fresh, generator)
    n_random = int((generator.random(n) < how.exploration).sum())
    chosen = fresh[:0]
    if len(fresh) and n > n_random:
        had = Had(architectures, accuracy, floor, busy)
        if len(busy):
            had = replace(had, busy_accuracy=_mean(task, predictor, busy))
        prediction = predictor.predict(task.features(task.architectures(fresh)))
        chosen = fresh[most_gain(task, pool, fresh, prediction, had, n - n_random)]
    known = np.concatenate([known, task.architectures(chosen)])
    return np.concatenate([chosen, random_fresh(task, pool, known, n - len(chosen), generator)])


def _floor(
    task: SearchTask,
    pool: Pool,
    predictor: AccuracyPredictor,
    fresh: IntArray,
    generator: np.random.Generator,
) -> float:
    drawn = pool.draw(_FLOOR_DRAWS, generator)
    inside = drawn[task.excess(drawn) <= 0]
    if len(inside) < MIN_EVALUATED:  # a tight limit: what was found within it has to do
        inside = fresh if len(fresh) else drawn
    if not len(inside):
        return 0.0
    return float(np.quantile(_mean(task, predictor, inside), FLOOR_QUANTILE))


def _mean(task: SearchTask, predictor: AccuracyPredictor, genotypes: IntArray) -> FloatArray:
    return predictor.predict(task.features(task.architectures(genotypes))).mean


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
    task: SearchTask, pool: Pool, fresh: IntArray, prediction: Prediction, had: Had, n: int
) -> list[int]:
    """Which `n` of the genotypes `fresh` are expected to add most to what is had."""
    costs = task.costs_of(fresh)
    known = pool.deployments(had.architectures)
    known_costs = task.costs_of(known)
    highest = task.highest_costs
    if highest is None:
        highest = np.maximum(costs.max(axis=0), known_costs.max(axis=0))
    lowest = np.minimum(costs.min(axis=0), known_costs.min(axis=0))
    floor = float(task.shipped_accuracy(np.array([had.floor]), fresh[:1])[0])
    levels = task.shipped_accuracy(prediction.levels(), fresh)
    improvement = Improvement(Region(floor, highest, lowest), costs, levels, NODE_WEIGHTS)
    inside = task.excess(known) <= 0
    each = len(known) // max(len(had.architectures), 1)
    achieved = task.shipped_accuracy(np.repeat(had.accuracy, each), known)
    improvement.add(known_costs[inside], achieved[inside])
    if len(had.busy):
        guessed = task.shipped_accuracy(had.busy_accuracy, had.busy)
        improvement.add(task.costs_of(had.busy), guessed)
    twins = np.unique(pool.keys(task.architectures(fresh)), return_inverse=True)[1]
    expected = task.shipped_accuracy(prediction.mean, fresh)
    return greedy(improvement, costs, expected, twins, n)
