"""All that was observed is kept; what is shown of it is bounded, and the same after a restart."""

from __future__ import annotations

import numpy as np
import pytest

from nas_service.search import observed as of_observed
from nas_service.search.driver import run
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.observed import CHEAP, Observed
from nas_service.search.pareto import non_dominated
from nas_service.space.genotypes import Genotype, Genotypes
from nas_service.space.sampling import distinct
from tests.nas_service.search.problems import LawEvaluator, make_problem
from tests.nas_service.search.test_search import _plan


def _evaluations(problem: Problem, n: int, batch: int = 8) -> list[Evaluation]:
    rows = distinct(problem.space.architectures, n, np.random.default_rng(5))
    accuracy = LawEvaluator(problem).evaluate(rows, fidelity=1.0, seed=0)
    accuracy += np.random.default_rng(6).normal(0, 0.02, n)
    return [
        Evaluation(place, place // batch, Genotype(tuple(row), place % 2), float(value))
        for place, (row, value) in enumerate(zip(rows.tolist(), accuracy, strict=True))
    ]


def _before(problem: Problem, n: int) -> tuple[np.ndarray, np.ndarray]:
    rows = distinct(problem.space.architectures, n, np.random.default_rng(1))
    return rows, LawEvaluator(problem).evaluate(rows, fidelity=1.0, seed=0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_observed, "FIRST", 20)
    monkeypatch.setattr(of_observed, "NEAR", 30)
    monkeypatch.setattr(of_observed, "LATEST", 10)


@pytest.mark.usefixtures("small")
def test_what_is_shown_holds_the_front_the_first_and_the_latest_and_is_bounded() -> None:
    problem = make_problem(limit_ms=2.0)
    rows, accuracy = _before(problem, 12)
    every = _evaluations(problem, 300)
    told = Observed(problem, rows, accuracy, every)

    genotypes = Genotypes.of(one.genotype for one in every)
    in_both = problem.space.in_every_deployment(genotypes.architectures)
    losses = problem.losses(in_both, np.repeat([one.accuracy for one in every], 2))
    inside = np.flatnonzero(problem.feasible(in_both))
    front = np.unique(inside[non_dominated(losses[inside])] // 2)
    assert 1 < len(front) <= 30
    fitted = told.fitted.tolist()
    assert fitted == sorted(set(fitted))
    assert len(fitted) <= 60
    assert set(fitted) >= set(range(20)) | set(range(302, 312)) | set((12 + front).tolist())
    shown = [trial.params for trial in told.trials()]
    names = [decision.name for decision in problem.space.decisions]
    wanted = [every[place].genotype.as_list() for place in (*front, *range(290, 300))]
    assert len(shown) <= 40
    assert all(dict(zip(names, one, strict=True)) in shown for one in wanted)


@pytest.mark.usefixtures("small")
def test_batches_one_by_one_and_all_at_once_give_the_same() -> None:
    problem = make_problem(limit_ms=2.0)
    rows, accuracy = _before(problem, 12)
    every = _evaluations(problem, 120)
    at_once, grown = Observed(problem, rows, accuracy, every), Observed(problem, rows, accuracy)
    for first in range(0, 120, 8):
        grown.add(every[first : first + 8])
        assert grown.next_batch == first // 8 + 1
        grown.trials()
    assert grown.evaluations == at_once.evaluations == every
    assert np.array_equal(grown.fitted, at_once.fitted)
    assert np.array_equal(grown.architectures, at_once.architectures)
    assert np.array_equal(grown.accuracy, at_once.accuracy)
    assert [one.params for one in grown.trials()] == [one.params for one in at_once.trials()]


def test_few_are_shown_in_full() -> None:
    problem = make_problem()
    rows, accuracy = _before(problem, 5)
    every = _evaluations(problem, 40)
    told = Observed(problem, rows, accuracy, every)
    assert told.fitted.tolist() == list(range(45))
    assert [trial.values[0] for trial in told.trials()] == [one.accuracy for one in every]
    assert told.known[rows[0].tobytes()] == accuracy[0]
    assert len(told.known) == 45


def test_first_looks_are_kept_beside_what_they_promised() -> None:
    problem = make_problem()
    rows, accuracy = _before(problem, 2)
    one, other = _evaluations(problem, 2)
    looked = Evaluation(0, 0, one.genotype, one.accuracy, {CHEAP: 0.25})
    told = Observed(problem, rows, accuracy, [looked, other])
    assert np.isnan(told.cheap).tolist() == [True, True, False, True]
    assert told.cheap[2] == 0.25
    assert CHEAP not in told.trials()[0].system_attrs


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("sampler", ["nsga2", "nsga3", "tpe", "random", "guided"])
def test_a_search_longer_than_what_is_shown_goes_on_as_if_never_cut_off(sampler: str) -> None:
    problem = make_problem()
    whole = run(problem, _plan(problem, sampler, 90), on_batch=lambda _: True)
    part: list[Evaluation] = []

    def cut_off(batch: list[Evaluation]) -> bool:
        part.extend(batch)
        return len(part) < 60

    run(problem, _plan(problem, sampler, 90), on_batch=cut_off)
    assert len(part) < 80
    resumed = run(problem, _plan(problem, sampler, 90), done=part, on_batch=lambda _: True)
    assert len(whole) == 90
    assert [one.genotype for one in resumed] == [one.genotype for one in whole]


def test_a_genetic_search_of_many_generations_goes_on() -> None:
    problem = make_problem()
    every = [
        Evaluation(
            one.number,
            one.batch,
            one.genotype,
            one.accuracy,
            {"NSGAIISampler:generation": one.number // 20},
        )
        for one in _evaluations(problem, 20_000, batch=500)
    ]
    plan = _plan(problem, "nsga2", 20_012)
    more = run(problem, plan, done=every, on_batch=lambda _: True)[20_000:]
    assert len(more) == 12
    assert {one.attributes["NSGAIISampler:generation"] for one in more} == {1000}
