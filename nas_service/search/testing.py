"""Contract tests for samplers, evaluators and quantities: subclass and provide the fixture."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from lookup_tables.measuring.timing import Timing
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Deployment, Target
from nas_service.search.accuracy import AccuracyEvaluator
from nas_service.search.cost import CostModel, StructureModel, all_blocks
from nas_service.search.delivery_gap import DeliveryGap
from nas_service.search.driver import Plan, run
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.quantities.base import MeasuredFile, Priced, Quantity
from nas_service.search.samplers import SamplerFactory
from nas_service.search.spec import FP32_AND_INT8
from nas_service.space.base import FloatArray, ImageShape, IntArray, SearchSpace
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import distinct, uniform
from predictors.linear import RidgePredictor

_FACTORS = {"fp32": 1.0, "int8": 0.6}


def table_by_macs(space: SearchSpace, deployment: Deployment) -> LookupTable:
    """A table in which a block takes a millisecond a million MACs, in int8 three fifths of it."""
    factor = _FACTORS[deployment.precision]
    entries = tuple(Entry(b, p10_ms=0.001 + factor * b.macs / 1e6) for b in all_blocks(space))
    target = Target("board", deployment.runtime, "1", deployment.precision)
    return LookupTable(target, entries)


def small_problem(limit_ms: float = 3.0, size: int = 16) -> Problem:
    """Mbconv on small images, in fp32 and int8, priced by MACs."""
    space = MbconvSpace(ImageShape(size, 1, 4))
    costs = tuple(CostModel(space, table_by_macs(space, one), None) for one in FP32_AND_INT8)
    return Problem(
        space=DeploymentSpace(space, FP32_AND_INT8),
        costs=costs,
        shipping=(DeliveryGap(), DeliveryGap(shipped_mean=-0.01)),
        structure=StructureModel(space),
        limit_ms=limit_ms,
        limit_probability=0.9,
    )


class LawEvaluator:
    """Accuracy rises with the logarithm of the MACs and with the gates; notes what was asked."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.seen: list[bytes] = []

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`."""
        del fidelity, seed
        self.seen += [row.tobytes() for row in genotypes]
        macs = self._problem.structure(genotypes).macs
        gates = genotypes[:, [3, 11, 19, 27]].sum(axis=1)
        return np.asarray(np.clip(0.3 + 0.04 * np.log(macs) + 0.005 * gates, 0.0, 0.99))


class SamplerContract:
    """What every sampler keeps; fixture `sampler`, a `SamplerFactory`."""

    n_queries: ClassVar[int] = 12

    def _searched(
        self, sampler: SamplerFactory, seed: int, done: list[Evaluation], n: int
    ) -> list[Evaluation]:
        problem = small_problem()
        evaluator = LawEvaluator(problem)
        first = distinct(problem.space.architectures, 16, np.random.default_rng(1))
        plan = Plan(
            sampler=sampler,
            make_predictor=lambda: RidgePredictor(seed=0),
            evaluator=evaluator,
            n_queries=n,
            batch=4,
            seed=seed,
            initial_architectures=first,
            initial_accuracy=evaluator.evaluate(first, fidelity=1.0, seed=0),
        )
        told = run(problem, plan, done=done, on_batch=lambda _: True)
        assert len(evaluator.seen) == 16 + len(told) - len(done)
        return told

    def test_every_query_is_a_new_network_of_the_space(self, sampler: SamplerFactory) -> None:
        space = small_problem().space
        told = self._searched(sampler, 3, [], self.n_queries)
        matrix = np.array([one.genotype.as_list() for one in told], dtype=np.int64)
        assert len(told) == self.n_queries
        assert space.valid(matrix).all()
        assert np.array_equal(space.canonical(matrix), matrix)
        assert len({one.genotype.architecture for one in told}) == len(told)

    def test_a_seed_says_what_is_asked(self, sampler: SamplerFactory) -> None:
        first, again, other = (
            [one.genotype for one in self._searched(sampler, seed, [], self.n_queries)]
            for seed in (3, 3, 4)
        )
        assert first == again
        assert first != other

    def test_cut_off_is_as_never_cut_off(self, sampler: SamplerFactory) -> None:
        whole = self._searched(sampler, 3, [], self.n_queries)
        part = self._searched(sampler, 3, [], self.n_queries - 4)
        resumed = self._searched(sampler, 3, part, self.n_queries)
        assert [one.genotype for one in resumed] == [one.genotype for one in whole]


class EvaluatorContract:
    """What every evaluator keeps; fixtures `evaluator` and the `space` whose networks it takes."""

    def _rows(self, space: SearchSpace, evaluator: AccuracyEvaluator) -> IntArray:
        del evaluator  # one that knows some networks alone gives those
        return uniform(space, 3, np.random.default_rng(5))

    def test_a_value_a_network_within_bounds(
        self, evaluator: AccuracyEvaluator, space: SearchSpace
    ) -> None:
        rows = self._rows(space, evaluator)
        for fidelity in (0.3, 1.0):
            found = evaluator.evaluate(rows, fidelity=fidelity, seed=1)
            assert found.shape == (len(rows),)
            assert found.dtype == np.float64
            assert ((found >= 0.0) & (found <= 1.0)).all()

    def test_the_same_question_has_the_same_answer(
        self, evaluator: AccuracyEvaluator, space: SearchSpace
    ) -> None:
        rows = self._rows(space, evaluator)
        first, again = (evaluator.evaluate(rows, fidelity=1.0, seed=1) for _ in range(2))
        assert np.array_equal(first, again)

    def test_networks_are_judged_one_by_one(
        self, evaluator: AccuracyEvaluator, space: SearchSpace
    ) -> None:
        rows = self._rows(space, evaluator)
        together = evaluator.evaluate(rows, fidelity=1.0, seed=1)
        alone = [evaluator.evaluate(row[None], fidelity=1.0, seed=1)[0] for row in rows]
        assert np.allclose(together, alone, atol=1e-6)


class QuantityContract:
    """What every quantity keeps; fixture `quantity`, and `priced` that it is known of."""

    def test_estimates_are_positive_and_each_network_s_own(
        self, quantity: Quantity, priced: Priced
    ) -> None:
        rows = distinct(priced.space, 12, np.random.default_rng(3))
        batch = quantity.estimate(priced, rows)
        assert batch.shape == (12,)
        assert np.all(np.isfinite(batch) & (batch > 0))
        alone = [quantity.estimate(priced, row[None])[0] for row in rows]
        assert np.allclose(batch, alone, rtol=1e-12)

    def test_bounds_grow_with_the_probability(self, quantity: Quantity, priced: Priced) -> None:
        factors = [quantity.upper_factor(priced, one) for one in (0.5, 0.9, 0.99)]
        assert factors[0] >= 1.0 - 1e-9
        assert factors == sorted(factors)

    def test_values_are_printed_with_a_unit(self, quantity: Quantity) -> None:
        assert quantity.name
        assert quantity.label
        texts = [quantity.text(value) for value in (1.0, 12_345.6, 7.8e9)]
        assert all(texts)
        assert len(set(texts)) == 3

    def test_measuring_gives_one_value_a_file(self, quantity: Quantity, tmp_path: Path) -> None:
        path = tmp_path / "file.bin"
        path.write_bytes(bytes(100))
        timing = Timing(1.0, 1.1, 1.2, 1.3, 0.1, 10, True, "2026-01-01")
        target = Target("board", "elsewhere", "1", "fp32")
        file = MeasuredFile(path, target, timing, latency_ms=1.1, here=False)
        values = quantity.measure([file, file])
        assert len(values) == 2
        assert values[0] == values[1]
        assert values[0] is None or (values[0] > 0 and not quantity.counted)
