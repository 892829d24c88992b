"""The guided sampler in studies of Optuna's."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from nas_service.errors import InvalidSpec
from nas_service.search.acquisition import Improvement, Region, greedy
from nas_service.search.candidate_pool import Pool, enumerate_space
from nas_service.search.deployment_problem import DeploymentProblem
from nas_service.search.guided import propose
from nas_service.search.guided_sampler import GuidedSampler, distributions_of
from nas_service.search.sampling_problem import CostedSpace
from nas_service.space.base import Decision
from predictors.base import NODE_WEIGHTS
from predictors.linear import RidgePredictor
from tests.nas_service.search.problems import Grid, accuracy_of_grid, cost_of_grid, make_problem


def _grid() -> CostedSpace:
    return CostedSpace(Grid(), [cost_of_grid])


def _study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)


def test_any_optuna_study_can_use_it_with_plain_values() -> None:
    sampler = GuidedSampler(_grid(), RidgePredictor, seed=1)
    study = _study(sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        a = trial.suggest_int("a", 1, 4)
        b = trial.suggest_categorical("b", ["x", "y", "z"])
        row = np.array([a - 1, "xyz".index(str(b))])
        return accuracy_of_grid(row), float(cost_of_grid(row[None])[0])

    study.optimize(objective, n_trials=10)
    met = [(t.params["a"], t.params["b"]) for t in study.trials]
    # ten networks: with a = 1, b does nothing
    assert len({(a, b if a > 1 else "x") for a, b in met}) == 10


def test_a_study_that_is_stopped_and_loaded_goes_on_as_if_it_had_not_been() -> None:
    def trials(interrupted: bool) -> list[dict[str, int]]:
        study = _study(GuidedSampler(_grid(), RidgePredictor, seed=2, batch=1))
        for number in range(9):
            if interrupted and number == 5:
                rest = study.get_trials()
                study = _study(
                    GuidedSampler(
                        CostedSpace(Grid(), [cost_of_grid]), RidgePredictor, seed=2, batch=1
                    )
                )
                study.add_trials(rest)
            trial = study.ask(distributions_of(Grid.decisions))
            row = np.array([trial.params["a"], trial.params["b"]])
            study.tell(trial, [accuracy_of_grid(row), float(cost_of_grid(row[None])[0])])
        return [trial.params for trial in study.trials]

    assert trials(interrupted=True) == trials(interrupted=False)


def test_a_failed_network_is_not_proposed_again() -> None:
    study = _study(GuidedSampler(_grid(), RidgePredictor, seed=3, batch=1))
    met = []
    for number in range(9):
        trial = study.ask(distributions_of(Grid.decisions))
        row = Grid().canonical(np.array([[trial.params["a"], trial.params["b"]]]))[0]
        met.append(tuple(row))
        if number % 3 == 0:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, [accuracy_of_grid(row), float(cost_of_grid(row[None])[0])])
    assert len(set(met)) == 9


def test_a_parameter_that_is_no_decision_of_the_space_is_named() -> None:
    study = _study(GuidedSampler(_grid(), RidgePredictor, seed=1))
    with pytest.raises(InvalidSpec, match=r"a takes \[1, 2, 3, 4\]"):
        study.optimize(lambda t: (t.suggest_int("a", 10, 20) / 20, 1.0), n_trials=1)


def test_a_hard_limit_is_never_exceeded() -> None:
    task = CostedSpace(Grid(), {"ms": cost_of_grid}, limits={"ms": 3.0})
    study = _study(GuidedSampler(task, RidgePredictor, seed=4))
    for _ in range(5):  # so many networks keep it
        trial = study.ask(distributions_of(Grid.decisions))
        row = np.array([trial.params["a"], trial.params["b"]])
        assert cost_of_grid(row[None])[0] <= 3.0
        study.tell(trial, [accuracy_of_grid(row), float(cost_of_grid(row[None])[0])])


def test_a_space_of_one_network_is_proposed_once() -> None:
    class One(Grid):
        decisions = (Decision("a", (1,)), Decision("b", ("x",)))

    task = CostedSpace(One(), [cost_of_grid])
    pool = Pool(task)
    assert enumerate_space(One()).tolist() == [[0, 0]]
    none = np.empty((0, 2), dtype=np.int64)
    first = propose(task, pool, RidgePredictor, none, np.empty(0), 4)
    assert first.tolist() == [[0, 0]]
    assert len(propose(task, pool, RidgePredictor, first, np.array([0.5]), 4)) == 0


def test_an_exhausted_space_ends_the_study() -> None:
    task = CostedSpace(Grid(), {"ms": cost_of_grid}, limits={"ms": 3.0})
    sampler = GuidedSampler(task, RidgePredictor, seed=5)
    study = _study(sampler)
    met = []

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        rows = np.array([[trial.suggest_int("a", 0, 3), trial.suggest_categorical("b", [0, 1, 2])]])
        met.append(tuple(Grid().canonical(rows)[0]))
        return accuracy_of_grid(rows[0]), float(cost_of_grid(rows)[0])

    study.optimize(objective, n_trials=50)
    inside = [row for row in enumerate_space(Grid()) if cost_of_grid(row[None])[0] <= 3.0]
    assert sampler.exhausted
    assert set(met[: len(inside)]) == {tuple(row) for row in inside}
    assert len(met) == len(inside) + 1  # Optuna finishes the trial in which it is told to stop


def test_a_limit_that_random_networks_hardly_ever_keep_is_found_by_evolution() -> None:
    problem = make_problem()
    space = problem.space.architectures

    def macs(rows: np.ndarray) -> np.ndarray:
        return problem.structure(rows).macs

    limit = float(macs(space.smallest()[None])[0]) * 1.02
    task = CostedSpace(space, {"macs": macs}, limits={"macs": limit})
    sampler = GuidedSampler(task, RidgePredictor, seed=1)
    study = _study(sampler)
    for _ in range(3):
        trial = study.ask(distributions_of(space.decisions))
        row = np.array([[trial.params[d.name] for d in space.decisions]])
        assert task.excess(space.canonical(row))[0] <= 0
        study.tell(trial, [0.5, float(macs(row)[0])])
    assert not sampler.exhausted


def test_threads_of_one_study_never_share_a_network() -> None:
    problem = make_problem()
    space = problem.space.architectures
    task = CostedSpace(space, [lambda rows: 1.0 + rows.sum(axis=1)])
    study = _study(GuidedSampler(task, RidgePredictor, seed=6))
    names = [decision.name for decision in space.decisions]

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        distributions = distributions_of(space.decisions)
        row = [
            trial._suggest(name, distributions[name])  # the form that a study's `ask` uses
            for name in names
        ]
        return 0.3 + 0.01 * sum(row), 1.0 + sum(row)

    study.optimize(objective, n_trials=40, n_jobs=4)
    rows = np.array([[trial.params[name] for name in names] for trial in study.trials])
    assert len(np.unique(space.canonical(rows), axis=0)) == 40


def test_the_first_networks_are_spread_alike_one_by_one_and_at_once() -> None:
    task = DeploymentProblem(make_problem())
    pool = Pool(task)
    none = np.empty((0, pool.width), dtype=np.int64)

    def first(known: int, n: int) -> list[list[int]]:
        rows = task.architectures(together[:known]) if known else none
        accuracy = np.full(known, 0.5)
        return propose(task, pool, RidgePredictor, rows, accuracy, n, seed=(3, known)).tolist()

    together = np.empty((0, 0))
    together = np.array(first(0, 8))
    assert [first(known, 1)[0] for known in range(8)] == together.tolist()
    costs = np.sort(task.costs_of(together)[:, 0])
    drawn = pool.draw(4096, np.random.default_rng(0))
    drawn = drawn[task.excess(drawn) <= 0]
    eighths = np.quantile(task.costs_of(drawn)[:, 0], np.linspace(0, 1, 9)[1:-1])
    # one network an eighth, as far as another draw's eighths are the same
    assert np.abs(np.searchsorted(eighths, costs) - np.arange(8)).max() <= 1


def test_a_batch_is_the_one_that_looking_at_everything_would_choose() -> None:
    generator = np.random.default_rng(4)
    n = 3000
    costs = np.exp(generator.uniform(0, 2, (n, 1)))
    middle = 0.3 + 0.2 * np.log(costs) + generator.normal(0, 0.05, (n, 1))
    levels = middle + np.linspace(-0.1, 0.1, len(NODE_WEIGHTS))
    twins = generator.integers(0, 2000, n)

    def improvement() -> Improvement:
        region = Region(0.2, np.array([np.e**2]), np.array([1.0]))
        return Improvement(region, costs, levels, NODE_WEIGHTS)

    every, expected = improvement(), []
    left = np.ones(n, dtype=bool)
    for _ in range(40):
        row = int(np.argmax(np.where(left, every.expected(), -1.0)))
        expected.append(row)
        left &= twins != twins[row]
        every.add(costs[row : row + 1], middle[row])
    assert greedy(improvement(), costs, middle[:, 0], twins, 40) == expected


def test_nothing_is_taken_that_adds_nothing() -> None:
    region = Region(0.2, np.array([10.0]), np.array([1.0]))
    levels = np.full((5, len(NODE_WEIGHTS)), 0.1)  # below what counts
    improvement = Improvement(region, np.full((5, 1), 2.0), levels, NODE_WEIGHTS)
    assert greedy(improvement, np.full((5, 1), 2.0), np.full(5, 0.1), np.arange(5), 3) == []
