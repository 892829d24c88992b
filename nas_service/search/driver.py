"""Runs a search as an Optuna study: ask a batch, evaluate it, tell it, report it.

The study lives in memory and is made anew from what was told for every batch: a search that was
cut off hands in what was evaluated before, and its next batch is the one that it would have been,
whatever the sampler. What a study is made of is bounded (`nas_service.search.observed`), so that a
batch takes as long after a hundred thousand evaluations as after a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import optuna
from optuna.distributions import BaseDistribution

from nas_service.search.accuracy import AccuracyEvaluator
from nas_service.search.candidate_pool import Pool
from nas_service.search.deployment_problem import DeploymentProblem
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.guided_sampler import distributions_of
from nas_service.search.observed import CHEAP, Observed
from nas_service.search.promotion import Promotion, promoted
from nas_service.search.samplers import SamplerContext, SamplerFactory, reads_trials
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.genotypes import Genotype, Genotypes
from nas_service.space.stages import stages_of
from predictors.base import AccuracyPredictor

Asked = tuple[optuna.Trial, Genotype]
"""A trial, and what the sampler asks to be evaluated."""
_CONSTRAINT = "constraints:limits"
"""Under which Optuna notes our constraint; it is computed again when a trial is put back."""
_MAX_IDLE_BATCHES = 20
"""So many batches in a row without a new network end a search: the sampler has run dry."""


@dataclass(frozen=True)
class Plan:
    """How far and how to search; `initial` are evaluations made before, which are no queries.

    With `patience`, a search ends early when so many batches in a row added nothing to the front.
    With `promotion`, candidates are looked at cheaply first. `near_limit`: costs were corrected by
    what was measured near the limit, and what lies there is wanted.
    """

    sampler: SamplerFactory
    make_predictor: Callable[[], AccuracyPredictor]
    evaluator: AccuracyEvaluator
    n_queries: int
    batch: int
    seed: int
    initial_architectures: IntArray
    initial_accuracy: FloatArray
    patience: int | None = None
    promotion: Promotion | None = None
    near_limit: bool = False


def run(
    problem: Problem,
    plan: Plan,
    *,
    done: Sequence[Evaluation] = (),
    on_batch: Callable[[list[Evaluation]], bool],
) -> list[Evaluation]:
    """Query until the plan's budget is spent; `on_batch` stores a batch and says whether to go on.

    `done` are the evaluations of earlier, complete batches.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = problem.space
    distributions = distributions_of(space.decisions)
    maximize, minimize = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [maximize, *[minimize] * len(problem.objectives)]
    told = Observed(problem, plan.initial_architectures, plan.initial_accuracy, done)
    batch_number = told.next_batch
    sampling = DeploymentProblem(problem)
    pool = cache(lambda: Pool(sampling, stages_of(space.architectures)))
    looks: dict[bytes, float] = {}
    idle = 0
    while len(told) < plan.n_queries and idle < _MAX_IDLE_BATCHES:
        if plan.patience is not None and told.plateaued(plan.patience):
            break
        context = SamplerContext(
            problem=problem,
            sampling=sampling,
            make_predictor=plan.make_predictor,
            architectures=told.architectures,
            accuracy=told.accuracy,
            fitted=told.fitted,
            seed=plan.seed,
            batch_number=batch_number,
            batch_size=_asked(plan, told),
            pool=pool,
            near_limit=plan.near_limit,
        )
        sampler = plan.sampler(context)
        study = optuna.create_study(directions=directions, sampler=sampler)
        if reads_trials(sampler):
            study.add_trials(told.trials())
        fresh = _ask(study, problem, distributions, plan, told)
        if fresh:
            fresh, cheap = _promoted(problem, pool, plan, fresh, told, looks)
            made = _evaluate(study, problem, plan, fresh, cheap, told, batch_number)
            told.add(made)
            if not on_batch(made):
                break
        if not fresh and getattr(sampler, "exhausted", False):
            break
        idle = 0 if fresh else idle + 1
        batch_number += 1
    return told.evaluations


def _ask(
    study: optuna.Study,
    problem: Problem,
    distributions: dict[str, BaseDistribution],
    plan: Plan,
    told: Observed,
) -> list[Asked]:
    """One batch of trials; those of networks already evaluated are told at once, at no cost."""
    fresh: list[Asked] = []
    pending: set[bytes] = set()
    for _ in range(_asked(plan, told)):
        trial = study.ask(distributions)
        if getattr(study.sampler, "exhausted", False):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            break
        raw = np.array([[trial.params[d.name] for d in problem.space.decisions]], dtype=np.int64)
        matrix = problem.space.canonical(raw)
        row = Genotypes.from_matrix(matrix)
        key = row.architectures[0].tobytes()
        if not problem.space.valid(matrix)[0] or key in pending:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif key in told.known:
            study.tell(trial, [told.known[key], *map(float, problem.costs_of(row)[0])])
        else:
            pending.add(key)
            trial.set_constraint("limits", _excess(problem, row))
            fresh.extend((trial, one) for one in row)
    return fresh


def _asked(plan: Plan, told: Observed) -> int:
    """How many networks a batch asks the sampler for."""
    each = plan.promotion.candidates if plan.promotion else 1
    return each * min(plan.batch, plan.n_queries - len(told))


def _promoted(
    problem: Problem,
    pool: Callable[[], Pool],
    plan: Plan,
    fresh: list[Asked],
    told: Observed,
    looks: dict[bytes, float],
) -> tuple[list[Asked], FloatArray]:
    """The trials to evaluate in full, and what each was worth at a first look (if it had one).

    `looks` remembers first looks: a network that was not promoted may be proposed again.
    """
    if plan.promotion is None:
        return fresh, np.empty(0)
    rows = Genotypes.of(genotype for _, genotype in fresh)
    keys = [row.tobytes() for row in rows.architectures]
    new = [place for place, key in enumerate(keys) if key not in looks]
    if new:
        values = plan.evaluator.evaluate(
            rows.architectures[new], fidelity=plan.promotion.fidelity, seed=plan.seed
        )
        looks.update({keys[place]: float(value) for place, value in zip(new, values, strict=True)})
    cheap = np.array([looks[key] for key in keys])
    fitted = told.fitted
    kept = promoted(
        DeploymentProblem(problem),
        pool(),
        plan.promotion,
        told.architectures[fitted],
        told.accuracy[fitted],
        told.cheap[fitted],
        rows.matrix,
        cheap,
        min(plan.batch, plan.n_queries - len(told)),
    )
    return [fresh[one] for one in kept], cheap[kept]


def _excess(problem: Problem, row: Genotypes) -> float:
    """By what share the one network in `row` is over its limits."""
    return float(problem.excess(row)[0])


def _evaluate(
    study: optuna.Study,
    problem: Problem,
    plan: Plan,
    fresh: Sequence[tuple[optuna.Trial, Genotype]],
    cheap: FloatArray,
    told: Observed,
    batch_number: int,
) -> list[Evaluation]:
    """Evaluate what was asked for and tell the study; numbers go on."""
    rows = Genotypes.of(genotype for _, genotype in fresh)
    found = plan.evaluator.evaluate(rows.architectures, fidelity=1.0, seed=plan.seed)
    made: list[Evaluation] = []
    for (trial, genotype), value, cost in zip(fresh, found, problem.costs_of(rows), strict=True):
        frozen = study.tell(trial, [float(value), *map(float, cost)])
        noted = told.noted({k: v for k, v in frozen.system_attrs.items() if k != _CONSTRAINT})
        if len(cheap):
            noted[CHEAP] = float(cheap[len(made)])
        made.append(Evaluation(len(told) + len(made), batch_number, genotype, float(value), noted))
    return made
