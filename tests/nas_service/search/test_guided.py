"""The guided sampler and what it chooses by, against brute force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.search.accuracy import PredictorEvaluator, TabularEvaluator
from nas_service.search.acquisition import Improvement, Region
from nas_service.search.candidate_pool import Pool
from nas_service.search.cost import CostBank, CostModel, StructureModel
from nas_service.search.deployment_problem import DeploymentProblem
from nas_service.search.driver import run
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.feasibility import require_feasible
from nas_service.search.guided import Guidance, propose
from nas_service.search.observed import Observed
from nas_service.search.pareto import hypervolume, non_dominated
from nas_service.search.sampling_problem import CostedSpace
from nas_service.space.base import FloatArray, ImageShape
from nas_service.space.cell import NasBench201Space
from nas_service.space.genotypes import Genotype
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import distinct
from predictors.gaussian_process import GaussianProcessPredictor
from predictors.linear import RidgePredictor
from tests.nas_service.search.problems import Grid, cost_of_grid, make_problem, table_of
from tests.nas_service.search.test_search import _plan


def test_expected_improvement_on_one_cost_is_that_of_simulation() -> None:
    generator = np.random.default_rng(0)
    front_cost, front = np.array([[1.0], [2.0], [5.0]]), np.array([0.5, 0.6, 0.7])
    costs = np.array([[0.8], [1.5], [3.0], [6.0], [20.0]])
    levels = np.sort(generator.uniform(0.3, 0.9, (5, 4)), axis=1)
    weights = np.array([0.1, 0.4, 0.3, 0.2])
    region = Region(0.45, np.array([10.0]), np.array([0.5]))
    improvement = Improvement(region, costs, levels, weights)
    improvement.add(front_cost, front)

    def area(c: FloatArray, a: FloatArray) -> float:
        reference = np.array([1 - 0.45, np.log(10.0)])
        return hypervolume(np.column_stack([1 - a, np.log(c)]), reference)

    before = area(front_cost[:, 0], front)
    expected = [
        sum(
            weight * (area(np.append(front_cost, cost), np.append(front, level)) - before)
            for weight, level in zip(weights, row, strict=True)
        )
        for cost, row in zip(costs[:, 0], levels, strict=True)
    ]
    assert np.allclose(improvement.expected(), expected, atol=1e-12)


def test_expected_improvement_on_three_costs_follows_the_exact_volume() -> None:
    generator = np.random.default_rng(1)
    high, low = np.full(3, np.e**2), np.ones(3)
    front_costs = np.exp(generator.uniform(0, 2, (6, 3)))
    front = generator.uniform(0.5, 0.8, 6)
    costs = np.exp(generator.uniform(0, 1.5, (40, 3)))
    level = generator.uniform(0.5, 0.9, (40, 1))
    improvement = Improvement(Region(0.4, high, low), costs, level, np.ones(1))
    improvement.add(front_costs, front)
    reference = np.array([0.6, 2.0, 2.0, 2.0])
    known = np.column_stack([1 - front, np.log(front_costs)])
    before = hypervolume(known, reference)
    exact = [
        hypervolume(np.vstack([known, [1 - a, *np.log(c)]]), reference) - before
        for a, c in zip(level[:, 0], costs, strict=True)
    ]
    found = improvement.expected() * 8.0  # shares of a box of volume 2 x 2 x 2
    assert np.allclose(found, exact, atol=0.12)
    assert np.corrcoef(found, exact)[0, 1] > 0.99


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(1, 12), st.integers(0, 1000))
def test_hypervolume_in_any_dimension_is_the_share_of_random_points_below(
    m: int, n: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    losses = generator.random((n, m))
    points = generator.random((20_000, m))
    below = np.zeros(len(points), dtype=bool)
    for row in losses:
        below |= (row <= points).all(axis=1)
    assert hypervolume(losses, np.ones(m)) == pytest.approx(below.mean(), abs=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(1, 40), st.integers(0, 1000))
def test_non_dominated_rows_by_their_definition(m: int, n: int, seed: int) -> None:
    losses = np.random.default_rng(seed).integers(0, 5, (n, m)).astype(float)
    expected = [
        not any((other <= row).all() and (other < row).any() for other in losses) for row in losses
    ]
    assert non_dominated(losses).tolist() == expected


def test_no_cell_and_no_twin_is_proposed_twice_in_the_whole_of_nasbench201() -> None:
    space = NasBench201Space(ImageShape(32, 3, 10))
    structure = StructureModel(space)
    task = CostedSpace(space, {"macs": lambda rows: structure(rows).macs})
    pool = Pool(task)
    assert pool.whole is not None
    assert len(pool.whole) == 4929
    predictor = GaussianProcessPredictor(names=space.feature_names)
    rows, accuracy = np.empty((0, 6), dtype=np.int64), np.empty(0)
    while len(rows) < 120:
        fresh = propose(task, pool, lambda: predictor, rows, accuracy, 8, seed=(1, len(rows)))
        law = 0.05 * np.log(structure(fresh).macs) - 0.03 * (fresh == 4).sum(axis=1)
        rows = np.concatenate([rows, fresh])
        accuracy = np.concatenate([accuracy, np.clip(law, 0, 1)])
    assert space.valid(rows).all()
    assert len(np.unique(space.canonical(rows), axis=0)) == len(rows)


def test_costs_and_limits_have_to_fit_together() -> None:
    with pytest.raises(InvalidSpec, match="at least one cost"):
        CostedSpace(Grid(), [])
    with pytest.raises(InvalidSpec, match="limit on 'mj', but the costs are ms"):
        CostedSpace(Grid(), {"ms": cost_of_grid}, limits={"mj": 1.0})


def test_objectives_without_a_cost_source_are_named() -> None:
    given_ = make_problem()
    with pytest.raises(
        InvalidSpec,
        match="'joules'; known: energy_mj, latency_ms, peak_memory",
    ):
        Problem(**{**vars(given_), "objectives": ("latency_ms", "joules")})


def test_energy_is_the_sum_over_blocks_and_asked_for_before_anything_is_trained() -> None:
    without = make_problem()
    asked = {**vars(without), "objectives": ("latency_ms", "energy_mj")}
    with pytest.raises(InvalidSpec, match="does not know the energy of"):
        require_feasible(Problem(**asked), 0)
    space = without.space.architectures
    costs = []
    for one in without.costs:
        plain = table_of(MbconvSpace(space.sample), one.target.precision)
        entries = tuple(replace(e, energy_mj=2.0 * e.p10_ms) for e in plain.entries)
        costs.append(CostModel(space, replace(plain, entries=entries), None))
    problem = Problem(**{**asked, "costs": tuple(costs), "limits": {"energy_mj": 5.0}})
    require_feasible(problem, 0)
    genotypes = problem.space.in_every_deployment(distinct(space, 20, np.random.default_rng(0)))
    latency, energy = problem.costs_of(genotypes).T
    assert np.allclose(energy, 2.0 * latency)
    over = energy > 5.0
    assert over.any()
    assert (problem.excess(genotypes)[over] > 0).all()


def test_the_worst_device_is_the_slower_one_for_each_network() -> None:
    base = make_problem()
    slow = Problem(
        **{
            **vars(base),
            "others": {"board2": tuple(reversed(base.costs))},
            "objectives": ("latency_ms", "latency_ms@board2", "latency_ms@worst", "size_bytes"),
        }
    )
    rows = distinct(base.space.architectures, 20, np.random.default_rng(0))
    every = base.space.in_every_deployment(rows)
    costs = slow.costs_of(every)
    assert np.array_equal(costs[:, 2], np.maximum(costs[:, 0], costs[:, 1]))
    assert np.array_equal(costs[:, 3], base.quantity("size_bytes", every))
    front = run(slow, _plan(slow, "guided", 12), on_batch=lambda _: True)
    assert len({one.genotype.architecture for one in front}) == 12


def test_a_further_limit_makes_networks_infeasible() -> None:
    base = make_problem()
    rows = base.space.in_every_deployment(
        distinct(base.space.architectures, 40, np.random.default_rng(0))
    )
    size = float(np.median(base.quantity("size_bytes", rows)))
    held = replace(base, limits={"size_bytes": size})
    expected = base.feasible(rows) & (base.quantity("size_bytes", rows) <= size)
    assert np.array_equal(held.feasible(rows), expected)
    assert 0 < expected.sum() < len(rows)


def test_a_bank_prices_every_target_as_its_own_model_does() -> None:
    problem = make_problem()
    space = problem.space.architectures
    bank = CostBank(space, [(table_of(space, p), None) for p in ("fp32", "int8")])
    rows = distinct(space, 30, np.random.default_rng(3))
    expected = np.column_stack([cost.latency_ms(rows) for cost in problem.costs])
    assert np.allclose(bank.latency_ms(rows), expected)


def _told(problem: Problem, told: list[Evaluation]) -> Observed:
    return Observed(problem, np.empty((0, 0), dtype=np.int64), np.empty(0), told)


def test_a_search_ends_when_its_front_has_stopped_growing() -> None:
    problem = make_problem()
    space = problem.space.architectures
    best, small = (Genotype(tuple(one.tolist()), 0) for one in (space.largest(), space.smallest()))
    easy = Problem(**{**vars(problem), "limit_ms": 1e6})
    told = [Evaluation(0, 0, best, 0.9), Evaluation(1, 0, small, 0.5)]
    middle = list(best.architecture)
    middle[1] = 0
    for batch in (1, 2, 3):
        told.append(Evaluation(len(told), batch, Genotype(tuple(middle), 0), 0.4))
        middle[3] = 1
    assert _told(easy, told).plateaued(3)
    assert not _told(easy, told).plateaued(4)
    told.append(Evaluation(len(told), 4, Genotype(tuple(middle), 0), 0.95))
    assert not _told(easy, told).plateaued(1)


def test_a_table_answers_for_every_genotype_of_a_network(tmp_path: Path) -> None:
    space = NasBench201Space(ImageShape(32, 3, 10))
    names = [decision.name for decision in space.decisions]
    path = tmp_path / "cells.csv"
    cells = [
        ["none", "none", "none", "nor_conv_3x3", "none", "none", "0.5"],
        ["none", "none", "nor_conv_1x1", "nor_conv_3x3", "none", "none", "0.7"],  # a dead edge
        ["skip_connect", "none", "none", "none", "nor_conv_1x1", "none", "0.6"],
    ]
    path.write_text("\n".join(",".join(row) for row in [[*names, "accuracy"], *cells]))
    evaluator = TabularEvaluator.read(space, path, "accuracy")
    found = evaluator.evaluate(
        np.array([[0, 0, 0, 3, 0, 0], [0, 0, 0, 2, 0, 0]]), fidelity=1.0, seed=0
    )
    assert found.tolist() == [pytest.approx(0.6), pytest.approx(0.6)]
    with pytest.raises(InvalidData, match=r"the table has no network \[3"):
        evaluator.evaluate(np.array([[3, 3, 3, 3, 3, 3]]), fidelity=1.0, seed=0)
    path.write_text(path.read_text().replace("nor_conv_1x1,none,0.6", "magic,none,0.6"))
    with pytest.raises(InvalidData, match="row 2: op_13 cannot be 'magic'"):
        TabularEvaluator.read(space, path, "accuracy")
    with pytest.raises(InvalidData, match="no column 'loss'"):
        TabularEvaluator.read(space, path, "loss")
    for wrong in ("good", "93.5"):
        path.write_text("\n".join(",".join(row) for row in [[*names, "accuracy"], cells[0]]))
        path.write_text(path.read_text().replace("0.5", wrong))
        with pytest.raises(InvalidData, match=rf"row 0: accuracy is .*{wrong}.*, not a share"):
            TabularEvaluator.read(space, path, "accuracy")
    path.write_text("a,b\n1\n")
    with pytest.raises(InvalidData, match=r"cells\.csv is no table"):
        TabularEvaluator.read(space, path, "accuracy")


def test_a_predictor_can_stand_for_the_evaluations() -> None:
    problem = make_problem()
    space = problem.space.architectures
    rows = distinct(space, 30, np.random.default_rng(0))
    predictor = RidgePredictor(names=space.feature_names)
    predictor.fit(space.features(rows), np.linspace(0.1, 0.9, 30))
    found = PredictorEvaluator(space, predictor).evaluate(rows, fidelity=1.0, seed=0)
    assert np.array_equal(found, predictor.predict(space.features(rows)).mean)


def test_exploration_is_a_share_of_random_proposals() -> None:
    problem = make_problem()
    task = DeploymentProblem(problem)
    pool = Pool(task)
    rows = distinct(problem.space.architectures, 16, np.random.default_rng(1))
    accuracy = np.linspace(0.2, 0.8, 16)
    both = [
        propose(
            task,
            pool,
            lambda: RidgePredictor(names=problem.space.architectures.feature_names),
            rows,
            accuracy,
            8,
            seed=(1,),
            guidance=Guidance(exploration=share),
        )
        for share in (0.0, 1.0)
    ]
    assert all(len(one) == 8 for one in both)
    assert (task.excess(both[1]) <= 0).all()
    assert not np.array_equal(both[0], both[1])
