"""Cheap looks: who is promoted, and what a search does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nas_service.search.candidate_pool import Pool
from nas_service.search.deployment_problem import DeploymentProblem
from nas_service.search.driver import Plan, run
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.promotion import Promotion, promoted
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.genotypes import Genotypes
from nas_service.space.sampling import distinct
from predictors.gaussian_process import GaussianProcessPredictor
from tests.nas_service.search.problems import LawEvaluator, make_problem
from tests.nas_service.search.test_search import _plan


def _promotion(problem: Problem, candidates: int = 4) -> Promotion:
    def make(names: Sequence[str]) -> GaussianProcessPredictor:
        return GaussianProcessPredictor(names=names)

    return Promotion(0.25, candidates, make, problem.space.architectures.feature_names)


def _networks(problem: Problem, n: int, seed: int) -> IntArray:
    """In the first deployment, as samplers see them."""
    rows = distinct(problem.space.architectures, n, np.random.default_rng(seed))
    return Genotypes(rows, np.zeros(n, dtype=np.int64)).matrix


def test_a_cheap_look_that_tells_good_from_bad_decides() -> None:
    problem = make_problem(limit_ms=1e6)
    task = DeploymentProblem(problem)
    rows = _networks(problem, 70, 1)
    hidden = np.random.default_rng(2).uniform(0.2, 0.9, 70)  # no feature knows it
    known, candidates = rows[:40, :-1], rows[40:]
    look = hidden + np.random.default_rng(3).normal(0, 0.01, 70)
    kept = promoted(
        task,
        Pool(task),
        _promotion(problem),
        known,
        hidden[:40],
        look[:40],
        candidates,
        look[40:],
        5,
    )
    assert len(set(kept)) == 5
    assert hidden[40:][kept].mean() > np.quantile(hidden[40:], 0.75)


def test_until_enough_is_known_the_sampler_has_its_way() -> None:
    problem = make_problem()
    task = DeploymentProblem(problem)
    rows = _networks(problem, 20, 1)
    unknown = np.full(10, np.nan)
    kept = promoted(
        task,
        Pool(task),
        _promotion(problem),
        rows[:10, :-1],
        np.linspace(0.1, 0.9, 10),
        unknown,
        rows[10:],
        np.linspace(0.9, 0.1, 10),
        3,
    )
    assert kept == [0, 1, 2]


def test_networks_within_the_limits_come_first() -> None:
    problem = make_problem(limit_ms=1.0)
    task = DeploymentProblem(problem)
    rows = _networks(problem, 500, 4)
    excess = task.excess(rows)
    inside, outside = rows[excess <= 0], rows[excess > 0]
    assert len(inside) >= 23
    assert len(outside) >= 6
    candidates = np.concatenate([outside[:6], inside[20:23]])
    kept = promoted(
        task,
        Pool(task),
        _promotion(problem),
        inside[:20, :-1],
        np.linspace(0.3, 0.8, 20),
        np.linspace(0.3, 0.8, 20),
        candidates,
        np.linspace(0.9, 0.5, 9),
        5,
    )
    assert set(kept[:3]) == {6, 7, 8}
    assert len(set(kept)) == 5


class _Twice(LawEvaluator):
    """Notes at what fidelity it was asked; a cheap look is 5 points too low."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.asked: list[tuple[float, int]] = []

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        self.asked.append((fidelity, len(genotypes)))
        found = super().evaluate(genotypes, fidelity=fidelity, seed=seed)
        return found if fidelity == 1.0 else found - 0.05


def _promoting(problem: Problem) -> tuple[Plan, _Twice]:
    evaluator = _Twice(problem)
    plan = replace(_plan(problem, "guided", 18), promotion=_promotion(problem))
    return replace(plan, evaluator=evaluator), evaluator


def test_a_search_looks_at_several_and_evaluates_one_of_them() -> None:
    problem = make_problem()
    plan, evaluator = _promoting(problem)
    told = run(problem, plan, on_batch=lambda _: True)
    assert evaluator.asked == [(0.25, 24), (1.0, 6)] * 3
    assert len(told) == len({one.genotype.architecture for one in told}) == 18
    full = [one.accuracy for one in told]
    cheap = [one.attributes["low_fidelity_accuracy"] for one in told]
    assert np.allclose(np.array(full) - 0.05, cheap)


def test_a_search_with_cheap_looks_goes_on_as_if_it_had_not_been_cut_off() -> None:
    problem = make_problem()
    whole = run(problem, _promoting(problem)[0], on_batch=lambda _: True)
    stored: list[Evaluation] = []

    def once(batch: list[Evaluation]) -> bool:
        stored.extend(batch)
        return False

    run(problem, _promoting(problem)[0], on_batch=once)
    resumed = run(problem, _promoting(problem)[0], done=stored, on_batch=lambda _: True)
    assert resumed == whole
