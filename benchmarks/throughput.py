"""How many candidates a second, on one core: scoring, evolving, storing."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.rows import Row, parser, report
from lookup_tables.blocks import Block
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Target
from nas_service.search.cost import CostBank, StructureModel, all_blocks
from nas_service.search.evolve import evolve
from nas_service.search.pareto import non_dominated
from nas_service.space.base import FloatArray, ImageShape, IntArray
from nas_service.space.cell import NasBench201Space
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import distinct, sizes, uniform
from predictors.ensemble import EnsemblePredictor
from predictors.gaussian_process import GaussianProcessPredictor
from predictors.regressor import Regressor

N_TARGETS = 6
CHUNK = 16384
"""Candidates scored at a time: what they need stays in the processor's cache."""


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("throughput", __doc__ or "")
    options.add_argument("--data", help="not needed: accepted as by the other benchmarks")
    options.add_argument("--candidates", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--without-peers", action="store_true")
    given = options.parse_args(arguments)
    if not {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= set(os.environ):
        print("note: set OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 for figures of one core")
    space = MbconvSpace(ImageShape(32, 3, 10))
    bank = CostBank(space, [(_table(space, number), None) for number in range(N_TARGETS)])
    rows = []
    for n in (200, 500):
        for method, one in (
            ("guided", _fitted(EnsemblePredictor, space, n, given.seed)),
            ("gaussian process", _fitted(GaussianProcessPredictor, space, n, given.seed)),
        ):
            rows += _scoring(space, bank, one, n, method, given)
    rows += _refitting(given.rounds, given.seed)
    predictor = _fitted(GaussianProcessPredictor, space, 200, given.seed)
    rows += _evolving(space, bank, predictor, given.seed, peers=not given.without_peers)
    rows.append(_storing(space, bank, predictor, given.seed))
    report(rows, given.out)
    return 0


def _table(space: MbconvSpace, number: int) -> LookupTable:
    """A target whose costs follow from MACs and bytes in proportions of its own."""

    def cost(block: Block) -> float:
        return 0.002 + block.macs / (1e6 * (1 + number)) + block.weights * 1e-7 * number

    entries = tuple(Entry(block, p10_ms=cost(block)) for block in all_blocks(space))
    return LookupTable(Target(f"board{number}", "onnxruntime", "1", "fp32"), entries)


def _law(space: MbconvSpace, genotypes: IntArray, generator: np.random.Generator) -> FloatArray:
    """Accuracies that saturate with the work done, prefer large kernels late, and are noisy."""
    macs = np.log(StructureModel(space)(genotypes).macs)
    late = genotypes[:, -6:].sum(axis=1)
    value = 0.9 / (1 + np.exp(-(macs - 14.0))) + 0.004 * late
    return np.asarray(np.clip(value + generator.normal(0, 0.004, len(value)), 0.0, 1.0))


def _fitted(kind: type[Regressor], space: MbconvSpace, n: int, seed: int) -> Regressor:
    generator = np.random.default_rng([seed, n])
    genotypes = distinct(space, n, generator)
    predictor = kind(seed=seed, names=space.feature_names)
    predictor.fit(space.features(genotypes), _law(space, genotypes, generator))
    if isinstance(predictor, EnsemblePredictor):
        print(f"the default predictor at n = {n} mixes {predictor.weights}")
    return predictor


def _best(rounds: int, work: Callable[[], object]) -> tuple[float, float]:
    """Least and mean seconds of some rounds."""
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent), float(np.mean(spent))


def _scoring(
    space: MbconvSpace,
    bank: CostBank,
    predictor: Regressor,
    n: int,
    method: str,
    given: argparse.Namespace,
) -> list[Row]:
    candidates, rounds = given.candidates, given.rounds
    generator = np.random.default_rng(given.seed)
    genotypes = generator.integers(0, sizes(space), (candidates, len(space.decisions)))
    parts = [genotypes[i : i + CHUNK] for i in range(0, candidates, CHUNK)]
    features = [space.features(part) for part in parts]
    bank.latency_ms(parts[0])
    paths: dict[str, Callable[[], object]] = {
        "features": lambda: [space.features(part) for part in parts],
        "predictor, mean and std": lambda: [predictor.predict(part) for part in features],
        "six targets": lambda: [bank.latency_ms(part) for part in parts],
        "all of it": lambda: [
            (predictor.predict(space.features(part)), bank.latency_ms(part)) for part in parts
        ],
    }
    rows = []
    for name, work in paths.items():
        least, mean = _best(rounds, work)
        case = f"mbconv, {name}"
        rows.append(Row("throughput", case, method, "candidates_per_s", n, candidates / least))
        rows.append(Row("throughput", case, method, "candidates_per_s_mean", n, candidates / mean))
    return rows


def _refitting(rounds: int, seed: int) -> list[Row]:
    """Fit the default predictor on 200 cells; mean and deviation of all 15,625."""
    space = NasBench201Space(ImageShape(32, 3, 10))
    generator = np.random.default_rng(seed)
    every = np.indices([5] * 6).reshape(6, -1).T.astype(np.int64)
    features = space.features(every)
    chosen = distinct(space, 200, generator)
    macs = np.log(StructureModel(space)(chosen).macs)
    accuracy = np.clip(0.05 * macs - 0.2 + generator.normal(0, 0.01, len(macs)), 0, 1)

    def work() -> None:
        predictor = EnsemblePredictor(seed=seed, names=space.feature_names)
        predictor.fit(space.features(chosen), accuracy)
        predictor.predict(features)

    least, mean = _best(rounds, work)
    case = "nasbench201, fit at 200 and predict 15,625"
    return [
        Row("throughput", case, "guided", "s", 200, least),
        Row("throughput", case, "guided", "s_mean", 200, mean),
    ]


def _evolving(
    space: MbconvSpace, bank: CostBank, predictor: Regressor, seed: int, *, peers: bool
) -> list[Row]:
    """NSGA-II on accuracy and latency of one target: evaluations a second."""

    def losses(genotypes: IntArray) -> FloatArray:
        mean = predictor.predict(space.features(genotypes)).mean
        return np.column_stack([1.0 - mean, bank.latency_ms(genotypes)[:, 0]])

    count = 0

    def score(genotypes: IntArray) -> tuple[FloatArray, FloatArray]:
        nonlocal count
        count += len(genotypes)
        return losses(genotypes), np.zeros(len(genotypes))

    generator = np.random.default_rng(seed)
    start = uniform(space, 1000, generator)
    started = time.perf_counter()
    evolve(space, score, generator, start=start, population=1000, generations=50)
    spent = time.perf_counter() - started
    case = "mbconv, NSGA-II, population 1,000"
    rows = [Row("throughput", case, "guided", "evaluations_per_s", count, count / spent)]
    if peers:
        from benchmarks import throughput_peers

        for name, per_s, n in throughput_peers.measure(space, losses, seed):
            rows.append(Row("throughput", case, name, "evaluations_per_s", n, per_s))
    return rows


def _storing(space: MbconvSpace, bank: CostBank, predictor: Regressor, seed: int) -> Row:
    """10,000 proposals on six targets: scored, the front of each found and stored in SQLite."""
    from sqlalchemy import JSON, Column, Float, Integer, MetaData, String, Table, create_engine

    generator = np.random.default_rng([seed, 4])
    genotypes = uniform(space, 10_000, generator)
    proposals = Table(
        "proposals",
        MetaData(),
        Column("number", Integer, primary_key=True),
        Column("target", String, primary_key=True),
        Column("genotype", JSON),
        Column("accuracy", Float),
        Column("accuracy_std", Float),
        Column("latency_ms", Float),
        Column("on_front", Integer, index=True),
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'proposals.db'}")
        proposals.create(engine)
        started = time.perf_counter()
        prediction = predictor.predict(space.features(genotypes))
        latency = bank.latency_ms(genotypes)
        written = genotypes.tolist()
        with engine.begin() as connection:
            for column, target in enumerate(bank.targets):
                on_front = non_dominated(np.column_stack([1 - prediction.mean, latency[:, column]]))
                connection.execute(
                    proposals.insert(),
                    [
                        {
                            "number": number,
                            "target": target.key,
                            "genotype": written[number] if on_front[number] else None,
                            "accuracy": a,
                            "accuracy_std": s,
                            "latency_ms": cost,
                            "on_front": int(on_front[number]),
                        }
                        for number, (a, s, cost) in enumerate(
                            zip(
                                prediction.mean.tolist(),
                                prediction.std.tolist(),
                                latency[:, column].tolist(),
                                strict=True,
                            )
                        )
                    ],
                )
        spent = time.perf_counter() - started
        engine.dispose()
    case = "mbconv, 10,000 proposals on 6 targets, fronts stored"
    return Row("throughput", case, "guided", "s", 60_000, spent)
