from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Deployment, Target
from nas_service.delivery.measured import Measured
from nas_service.delivery.verdict import OF_SEARCHES, Verdict, held, judge
from nas_service.errors import Infeasible, MissingBlocks
from nas_service.learning.classification.metrics import share_error
from nas_service.plugins import SAMPLERS, load
from nas_service.recorded.parity import Parity
from nas_service.search import winners
from nas_service.search.candidates import candidates_of, front_of
from nas_service.search.certificate import (
    MIN_SESSIONS,
    Certificate,
    certificate_of,
    measured_exactly,
)
from nas_service.search.certifier import Certifier
from nas_service.search.cost import CostModel, all_blocks, block_counts
from nas_service.search.delivery_gap import fit_delivery_gap
from nas_service.search.driver import Plan, run
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.feasibility import require_feasible
from nas_service.search.pareto import hypervolume
from nas_service.space.base import lower
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.genotypes import Genotypes
from nas_service.space.narrowed import NarrowedSpace
from nas_service.space.sampling import distinct, uniform
from predictors.linear import RidgePredictor
from tests.nas_service.search.problems import LawEvaluator, make_problem, table_of


def _plan(problem: Problem, sampler: str, n_queries: int, seed: int = 3) -> Plan:
    evaluator = LawEvaluator(problem)
    first = distinct(problem.space.architectures, 16, np.random.default_rng(1))
    return Plan(
        sampler=load(SAMPLERS, sampler),
        make_predictor=lambda: RidgePredictor(seed=0),
        evaluator=evaluator,
        n_queries=n_queries,
        batch=6,
        seed=seed,
        initial_architectures=first,
        initial_accuracy=evaluator.evaluate(first, fidelity=1.0, seed=0),
    )


def test_the_cost_model_agrees_with_walking_the_slots() -> None:
    problem = make_problem()
    space = problem.space.architectures
    rows = uniform(space, 30, np.random.default_rng(0))
    table = table_of(space, "fp32")
    walked = [table.latency_ms(lower(space, row)).sum() for row in rows]
    assert np.allclose(problem.costs[0].latency_ms(rows), walked)
    parameters = [sum(block.parameters for block in lower(space, row)) for row in rows]
    assert problem.structure(rows).parameters.tolist() == parameters


def test_blocks_counted_times_what_they_cost_is_the_plain_sum() -> None:
    space = make_problem().space.architectures
    rows = uniform(space, 30, np.random.default_rng(2))
    table = table_of(space, "fp32")
    sums = block_counts(space, rows) @ table.latency_ms(all_blocks(space))
    np.testing.assert_allclose(sums, CostModel(space, table, None).latency_ms(rows))


def test_a_batch_of_latencies_gives_what_its_rows_give() -> None:
    problem = make_problem()
    rows = problem.space.in_every_deployment(
        uniform(problem.space.architectures, 8, np.random.default_rng(1))
    )
    alone = [problem.latency_ms(Genotypes.of([one]))[0] for one in rows]
    assert np.array_equal(problem.latency_ms(rows), np.array(alone))


def test_a_table_that_lacks_blocks_names_them() -> None:
    space = make_problem().space.architectures
    table = table_of(space, "fp32")
    lacking = LookupTable(table.target, table.entries[1:])
    with pytest.raises(MissingBlocks, match=table.entries[0].block.key) as caught:
        CostModel(space, lacking, None)
    assert caught.value.fields["missing_blocks"] == [table.entries[0].block.key]


@pytest.mark.parametrize("sampler", ["guided", "random", "tpe", "nsga2"])
def test_a_search_that_was_cut_off_ends_as_if_it_had_not_been(sampler: str) -> None:
    problem = make_problem()
    whole = run(problem, _plan(problem, sampler, 24), on_batch=lambda _: True)
    kept: list[Evaluation] = []

    def cut(batch: list[Evaluation]) -> bool:
        kept.extend(batch)
        return len(kept) < 12

    run(problem, _plan(problem, sampler, 24), on_batch=cut)
    resumed = run(problem, _plan(problem, sampler, 24), done=kept, on_batch=lambda _: True)
    assert resumed == whole


@pytest.mark.parametrize("sampler", ["guided", "random", "tpe", "nsga2"])
def test_no_network_is_evaluated_twice(sampler: str) -> None:
    problem = make_problem()
    plan = _plan(problem, sampler, 30)
    told = run(problem, plan, on_batch=lambda _: True)
    assert len(told) == 30
    assert len(set(plan.evaluator.seen)) == len(plan.evaluator.seen) == 16 + 30


def test_another_seed_gives_another_search() -> None:
    problem = make_problem()
    first = run(problem, _plan(problem, "guided", 12, seed=1), on_batch=lambda _: True)
    second = run(problem, _plan(problem, "guided", 12, seed=2), on_batch=lambda _: True)
    assert [one.genotype for one in first] != [one.genotype for one in second]


def test_guided_search_dominates_more_than_random_and_keeps_the_limit() -> None:
    problem = make_problem(limit_ms=1.0)
    areas = {}
    for sampler in ("guided", "random"):
        told = run(problem, _plan(problem, sampler, 30), on_batch=lambda _: True)
        rows = Genotypes.of(one.genotype for one in told)
        accuracy = np.array([one.accuracy for one in told])
        if sampler == "guided":
            assert problem.feasible(rows).all()
        every = problem.space.in_every_deployment(rows.architectures)
        every_accuracy = np.repeat(accuracy, 2)
        kept = problem.feasible(every)
        # a tenth faster counts the same everywhere, accuracy above what most networks reach
        losses = problem.losses(every, every_accuracy)[kept]
        losses[:, 1] = np.log(losses[:, 1])
        areas[sampler] = hypervolume(losses, np.array([1.0 - 0.85, np.log(problem.limit_ms)]))
    assert areas["guided"] > areas["random"]


def test_a_limit_that_nothing_meets_names_the_fastest_candidate() -> None:
    problem = make_problem(limit_ms=0.001)
    fastest = problem.latency_ms(
        problem.space.in_every_deployment(problem.space.architectures.smallest()[None])
    ).min()
    with pytest.raises(Infeasible, match=f"fastest candidate takes {fastest:.3g} ms") as caught:
        require_feasible(problem, seed=0)
    assert caught.value.fields["field"] == "max_latency_ms"


def test_a_limit_below_the_smallest_network_says_what_that_takes() -> None:
    problem = replace(make_problem(limit_ms=1e6), limits={"macs": 1.0})
    least = float(
        problem.upper(
            "macs",
            problem.space.in_every_deployment(problem.space.architectures.smallest()[None, :]),
        ).min()
    )
    with pytest.raises(Infeasible) as caught:
        require_feasible(problem, seed=0)
    assert f"macs <= 1 (the least is {least:.6g})" in caught.value.detail


def test_winners_are_front_members_of_different_architectures() -> None:
    problem = make_problem()
    rows = distinct(problem.space.architectures, 40, np.random.default_rng(2))
    accuracy = LawEvaluator(problem).evaluate(rows, fidelity=1.0, seed=0)
    every = problem.space.in_every_deployment(rows)
    candidates = candidates_of(problem, every, np.repeat(accuracy, 2), np.zeros(80))
    front = front_of(problem, candidates)
    barred = {front.candidates[-1].genotype.architecture}
    chosen = winners.choose(front, 3, barred=barred)
    assert all(one in front.candidates for one in chosen)
    assert len({one.genotype.architecture for one in chosen} - barred) == 3
    assert chosen[0].predicted_accuracy == max(
        one.predicted_accuracy
        for one in front.candidates
        if one.genotype.architecture not in barred
    )


def test_shipping_follows_its_probes() -> None:
    shared = np.array([0.80, 0.85, 0.90, 0.95])
    macs = np.full(4, 1e6)
    model = fit_delivery_gap(shared, macs, 0.9 + 0.5 * (shared - 0.875))
    assert model.shipped(np.array([0.875]), macs[:1])[0] == pytest.approx(0.9)
    assert model.shipped(np.array([0.95]), macs[:1])[0] == pytest.approx(0.9375, abs=1e-3)


def _measured(precision: str, **values: object) -> Measured:
    given: dict[str, object] = {
        "precision": precision,
        "accuracy": 0.9,
        "n_test": 100,
        "accuracy_standard_error": 0.03,
        "stable": True,
        "same": Parity(max_abs=1e-6, sqnr_db=200.0, agreement=1.0, ok=True),
    }
    quantities = {"latency_ms": 1.0, "size_bytes": 10.0}
    for name in ("latency_ms", "size_bytes", "peak_memory_bytes"):
        if name in values:
            quantities[name] = float(values.pop(name))  # type: ignore[arg-type]
    return Measured(**{**given, **values, "measurements": quantities})  # type: ignore[arg-type]


DIFFERENT = Parity(max_abs=3.0, sqnr_db=-3.0, agreement=0.1, ok=False)


def _judge(
    one: Measured,
    latency: Certificate,
    reference: Measured,
    further: Mapping[str, Certificate] | None = None,
) -> Verdict:
    return judge(one, reference, OF_SEARCHES, {"latency_ms": latency, **(further or {})})


def _certificate(one: Measured) -> Certificate:
    """Of three sessions, all at what `one` was measured at; of none where it was not stable."""
    latency_ms = one.measurements["latency_ms"]
    certifier = Certifier(2.0, np.ones(1), np.array([latency_ms]), 0.03)
    for _ in range(MIN_SESSIONS if one.stable else 0):
        certifier.add(0, latency_ms)
    return certificate_of(certifier, 0, 0.95, latency_ms, 0.03)


@pytest.mark.parametrize(
    ("one", "published", "holds", "reason"),
    [
        (_measured("int8", latency_ms=0.8), True, True, ""),
        (_measured("int8", latency_ms=1.2), False, True, "not faster than fp32 as measured"),
        (_measured("int8", latency_ms=2.5), False, False, "over the limit of 2 ms"),
        (_measured("int8", latency_ms=1.995), False, True, "too near the limit of 2 ms"),
        (_measured("int8", latency_ms=0.8, accuracy=0.8), False, True, "loses 10.0 points"),
        (_measured("int8", latency_ms=0.8, stable=False), False, None, "not stable"),
        (_measured("int8", latency_ms=0.8, same=DIFFERENT), False, True, "not the same network"),
    ],
)
def test_files_are_published_only_when_measured_better(
    one: Measured, published: bool, holds: bool | None, reason: str
) -> None:
    verdict = _judge(one, _certificate(one), _measured("fp32"))
    assert (verdict.published, verdict.limit_holds) == (published, holds)
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("limits", "published", "holds", "reason"),
    [
        ({"size_bytes": 1000}, True, True, ""),
        ({"size_bytes": 999}, False, False, "measured size_bytes 1,000 is over its limit of 999"),
        ({"peak_memory_bytes": 4000, "size_bytes": 2e6}, True, True, ""),
        ({"peak_memory_bytes": 3999.5}, False, False, "measured peak_memory_bytes 4,000 is over"),
        ({"energy_mj": 0.1}, True, True, ""),  # there is no meter: told as not measured
        ({"latency_ms@phone": 0.1, "macs": 5}, True, True, ""),
    ],
)
def test_every_limit_holds_as_measured(
    limits: dict[str, float], published: bool, holds: bool, reason: str
) -> None:
    one = _measured("int8", latency_ms=0.8, size_bytes=1000, peak_memory_bytes=4000)
    further = _further(limits, one.measurements)
    verdict = _judge(one, _certificate(one), _measured("fp32"), further)
    assert (verdict.published, verdict.limit_holds) == (published, holds)
    assert verdict.reason.startswith(reason)
    unknown = {"energy_mj", "latency_ms@phone"} & set(limits)
    assert {name for name, row in held(further).items() if row["holds"] is None} == unknown
    assert all(row["holds"] is None for row in held(_further(limits, {})).values())


def _further(limits: dict[str, float], measured: Mapping[str, float]) -> dict[str, Certificate]:
    return {
        name: measured_exactly(name, limit, 0.95, None, measured.get(name))
        for name, limit in limits.items()
        if name != "macs"  # which is counted: nothing about it is certified
    }


def _energies(limit: float, values: Sequence[float]) -> Certificate:
    certifier = Certifier(limit, np.ones(1), np.array([values[0]]), 0.03)
    for one in values:
        certifier.add(0, one)
    return certificate_of(certifier, 0, 0.95, values[0], 0.03, quantity="energy_mj")


def test_a_limit_on_energy_is_certified_as_one_on_latency_is() -> None:
    one = _measured("int8", latency_ms=0.8)
    for limit, published, reason in (
        (4.0, True, ""),
        (2.02, False, "measured 2.001 mJ in 3 sessions: too near the limit of 2.02 mJ"),
        (1.5, False, "measured 2.001 mJ: over the limit of 1.5 mJ with probability"),
    ):
        energy = _energies(limit, [2.0, 1.99, 2.013])
        assert energy.as_dict()["quantity"] == "energy_mj"
        assert "limit_ms" not in energy.as_dict()
        verdict = _judge(one, _certificate(one), _measured("fp32"), {"energy_mj": energy})
        assert verdict.published == published
        assert verdict.reason.startswith(reason)


def test_int8_beside_an_unsteady_fp32_is_not_published() -> None:
    one = _measured("int8", latency_ms=0.5)
    verdict = _judge(one, _certificate(one), _measured("fp32", stable=False))
    assert not verdict.published
    assert "no comparison" in verdict.reason


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "guided"])
def test_the_largest_seed_that_the_api_takes_works(sampler: str) -> None:
    problem = make_problem()
    told = run(problem, _plan(problem, sampler, 2, seed=2**31 - 1), on_batch=lambda _: True)
    assert len(told) == 2


def test_the_standard_error_of_a_share_by_hand() -> None:
    assert share_error(0.9, 100) == pytest.approx(0.03)
    assert share_error(1.0, 100) == pytest.approx(0.00995, rel=1e-3)  # never zero


def test_a_recipe_that_narrows_is_priced_by_what_it_leaves() -> None:
    base = make_problem()
    space = base.space.architectures
    narrower = NarrowedSpace(space, 0.75)
    blocks = {*all_blocks(space), *all_blocks(narrower)}
    table = LookupTable(
        Target("board", "onnxruntime", "1", "fp32"),
        tuple(Entry(block, p10_ms=0.001 + block.macs / 1e6) for block in sorted(blocks)),
    )
    problem = replace(
        base,
        space=DeploymentSpace(space, tuple(map(Deployment.parse, ("fp32", "fp32+width=0.75")))),
        costs=(CostModel(space, table, None), CostModel(narrower, table, None)),
        shipped_as=(space, narrower),
    )
    rows = problem.space.in_every_deployment(distinct(space, 8, np.random.default_rng(1)))
    plain, narrow = rows[0::2], rows[1::2]
    for quantity in ("latency_ms", "macs", "parameters", "size_bytes", "peak_memory_bytes"):
        assert (problem.quantity(quantity, narrow) <= problem.quantity(quantity, plain)).all()
    macs = [sum(node.block.macs for node in narrower.wire(one.row)) for one in narrow]
    assert problem.quantity("macs", narrow).tolist() == macs
    # what accuracy is predicted from is the network that was evaluated, not what ships
    accuracy = np.full(8, 0.5)
    assert np.array_equal(
        base.delivered_accuracy(accuracy, plain), problem.delivered_accuracy(accuracy, plain)
    )
