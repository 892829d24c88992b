"""The predictor-guided sampler: evolve on cheap scores, spend evaluations where they pay.

Each batch refits the accuracy predictor on everything evaluated, evolves a population on its
predictions and the cost models, and proposes the members that add most to the hypervolume at an
optimistic accuracy, one after the other so that a batch does not crowd (greedy batches as in
Daulton et al., 2020, without their Monte Carlo integral). One in eight is drawn at random.
Nothing evaluated is proposed again, in whatever precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from nas_service.search.evaluate import Problem
from nas_service.search.evolve import evolve, random_genotypes
from nas_service.search.pareto import improvements, non_dominated
from nas_service.search.samplers import SamplerContext
from nas_service.space.base import FloatArray, IntArray

OPTIMISM = 0.5
"""Standard deviations added to a predicted accuracy when proposals are chosen."""
EXPLORATION = 8
"""One proposal in so many is drawn at random."""


def guided(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """The sampler of one batch."""
    mixed = np.random.SeedSequence([context.seed, 13, context.batch_number])
    seed = int(mixed.generate_state(1)[0])
    return GuidedSampler(propose(context), context.problem, seed=seed)


def propose(context: SamplerContext) -> IntArray:
    """The batch's genotypes `(batch_size, d)`, best first; fewer where the space is exhausted."""
    problem = context.problem
    generator = np.random.default_rng([context.seed, 7, context.batch_number])
    known = {row.tobytes() for row in context.architectures.astype(np.int64)}
    if len(context.architectures) < 4:
        return _random_fresh(problem, known, context.batch_size, generator)
    predictor = context.make_predictor()
    base = problem.space.architectures
    predictor.fit(base.features(context.architectures), context.accuracy)

    def predicted(genotypes: IntArray, optimism: float) -> FloatArray:
        prediction = predictor.predict(base.features(genotypes[:, :-1]))
        return problem.losses(genotypes, prediction.mean + optimism * prediction.std)

    def score(genotypes: IntArray) -> tuple[FloatArray, FloatArray]:
        excess = problem.upper_ms(genotypes) / problem.limit_ms - 1.0
        return predicted(genotypes, 0.0), np.maximum(excess, 0.0)

    evaluated = problem.space.every_precision(context.architectures)
    evaluated = evaluated[problem.feasible(evaluated)]
    losses = predicted(evaluated, 0.0) if len(evaluated) else np.empty((0, 2))
    best = evaluated[non_dominated(losses)] if len(evaluated) else evaluated
    pool = evolve(problem.space, score, generator, start=best)
    fresh = np.array([row[:-1].tobytes() not in known for row in pool], dtype=bool)
    pool = pool[fresh & problem.feasible(pool)]
    n_random = context.batch_size // EXPLORATION
    chosen = _greedy(
        pool, predicted(pool, OPTIMISM), losses, problem, context.batch_size - n_random
    )
    known |= {row[:-1].tobytes() for row in chosen}
    filler = _random_fresh(problem, known, context.batch_size - len(chosen), generator)
    return np.concatenate([chosen, filler])


def _greedy(
    pool: IntArray, losses: FloatArray, front: FloatArray, problem: Problem, n: int
) -> IntArray:
    """Rows of `pool` that add most hypervolume, each counted with those before it."""
    reference = np.array([1.0, problem.limit_ms])
    chosen: list[int] = []
    taken: set[bytes] = set()
    left = np.ones(len(pool), dtype=bool)
    while len(chosen) < n and left.any():
        gain = np.where(left, improvements(losses, front, reference), -1.0)
        pick = int(np.argmax(gain))
        if gain[pick] <= 0 and len(chosen):
            break
        left[pick] = False
        key = pool[pick, :-1].tobytes()
        if key in taken:
            continue
        taken.add(key)
        chosen.append(pick)
        front = np.concatenate([front, losses[pick][None, :]])
    return pool[chosen]


def _random_fresh(
    problem: Problem, known: set[bytes], n: int, generator: np.random.Generator
) -> IntArray:
    """Up to `n` feasible genotypes whose architecture is not among `known`."""
    found: list[IntArray] = []
    seen = set(known)
    for _ in range(20):
        if len(found) >= n:
            break
        drawn = random_genotypes(problem.space, 64, generator)
        for row in drawn[problem.feasible(drawn)]:
            key = row[:-1].tobytes()
            if key not in seen and len(found) < n:
                seen.add(key)
                found.append(row)
    width = len(problem.space.decisions)
    return np.stack(found) if found else np.empty((0, width), dtype=np.int64)


class GuidedSampler(optuna.samplers.BaseSampler):
    """Hands out prepared proposals one a trial, then falls back to uniform choices."""

    def __init__(self, proposals: IntArray, problem: Problem, *, seed: int = 0) -> None:
        self._proposals = list(proposals)
        self._names = [decision.name for decision in problem.space.decisions]
        self._fallback = optuna.samplers.RandomSampler(seed=seed)
        self._fixed: dict[int, dict[str, Any]] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        del study, trial
        return {}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        del study, search_space
        if self._proposals:
            row = self._proposals.pop(0)
            self._fixed[trial.number] = {
                name: int(value) for name, value in zip(self._names, row, strict=True)
            }
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        fixed = self._fixed.get(trial.number, {})
        if param_name in fixed:
            return fixed[param_name]
        return self._fallback.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        del study, state, values
        self._fixed.pop(trial.number, None)
