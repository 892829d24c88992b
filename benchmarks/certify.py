"""Limits that hold: certify winners on devices with noisy measurements.

A device is onboarded with ten measured networks, a guided search of 200 queries gives a predictor
of accuracy, and ten further measurements (repeats counted) go to certification. A measurement is
the table's value times noise that nobody is told of. A violation is a certified network whose
table value is over the limit.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks import nb201
from benchmarks.device_tables import Networks, networks
from benchmarks.peers import Lookup, guided
from benchmarks.rows import Row, parser, report
from lookup_tables.transfer import Known, Transferred, transfer
from nas_service.errors import InvalidSpec
from nas_service.search.certifier import Certifier
from nas_service.settings import Settings
from nas_service.space.base import FloatArray, IntArray
from predictors.gaussian_process import GaussianProcessPredictor

QUANTILES = (0.25, 0.5, 0.75)
NOISES = tuple((size, kind) for kind in ("normal", "t(3)") for size in (0.01, 0.03, 0.05))
ONBOARDING, FURTHER = 10, 10
REVISED = (3, 6)
"""After so many further measurements the estimates learn from them."""
MARGIN = 1.645
LEVEL = 0.9
"""Of the intervals of winners, before measuring and after."""
Figures = dict[str, float]


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("certify", __doc__ or "")
    options.add_argument("--data", type=Path, help="folder of the tables; default NAS_BENCH_DATA")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--device", action="append", help="part of a column's name; default: all")
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args(arguments)
    folder = given.data or Settings().bench_data
    try:
        known = nb201.cells(folder)
        every = networks(folder, "nasbench201")[0]
    except InvalidSpec as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    part = _classes(every, folder, known)
    wanted = given.device or [""]
    targets = [name for name in part.targets if any(one in name for one in wanted)]
    found: dict[str, list[tuple[float, str, Figures]]] = {}
    done: dict[Future[list[tuple[float, str, Figures]]], list[tuple[float, str, Figures]]] = {}
    started = time.monotonic()
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as workers:
        waiting = {
            workers.submit(_device, part, known, target, seed): target
            for target in targets
            for seed in range(given.seeds)
        }
        for number, future in enumerate(as_completed(waiting), start=1):
            done[future] = future.result()
            left = (time.monotonic() - started) / number * (len(waiting) - number)
            print(f"{number} of {len(waiting)}, {left:.0f} s left", file=sys.stderr)
    for future, target in waiting.items():  # in this order, whichever ended first
        found.setdefault(target, []).extend(done[future])
    report(_rows(found, given.seeds), given.out)
    return 0


def _classes(every: Networks, folder: Path, known: nb201.Cells) -> Networks:
    """The same networks, one a class, in the order of `known`."""
    table = nb201.read(folder, "nasbench201.parquet")
    place = np.full(len(table["arch_index"]), -1, dtype=np.int64)
    place[table["arch_index"][np.flatnonzero(table["connected"])]] = np.arange(
        int(table["connected"].sum())
    )
    rows = place[known.index]
    return replace(
        every,
        features={name: values[rows] for name, values in every.features.items()},
        columns={name: values[rows] for name, values in every.columns.items()},
    )


def _device(
    part: Networks, known: nb201.Cells, target: str, seed: int
) -> list[tuple[float, str, Figures]]:
    """All noises and limits of one device under one seed."""
    truth = part.columns[target]
    device = crc32(target.encode())
    generator = np.random.default_rng([seed, 11, device])
    first = generator.permutation(len(truth))[:ONBOARDING]
    seen = _Noise(0.03, "normal", np.random.default_rng([seed, 12, device]))(truth[first])
    estimate = _transferred(part, target, first, seen).latency
    accuracy = known.accuracy("cifar100")
    space = nb201.space()
    lookup = Lookup(space, known.of, known.genotypes, accuracy, estimate, accuracy)
    order, _ = guided(lookup, 200, seed)
    features = space.features(known.genotypes)
    predictor = GaussianProcessPredictor(seed=seed, names=space.feature_names)
    predictor.fit(features[order], accuracy[order])
    predicted = predictor.predict(features).mean
    predicted[order] = accuracy[order]
    found = []
    for size, kind in NOISES:
        for quantile in QUANTILES:
            steps = np.unique(truth)
            at = int(quantile * (len(steps) - 1))
            limit = float(steps[at : at + 2].mean())
            noise = _Noise(size, kind, np.random.default_rng([seed, int(1000 * size), at, device]))
            run = _certify(part, target, first, noise, limit, predicted, accuracy)
            found.append((size, kind, run))
    return found


class _Noise:
    """Measurements of true values: times exp(noise) of a standard deviation."""

    def __init__(self, size: float, kind: str, generator: np.random.Generator) -> None:
        self._size, self._kind, self._generator = size, kind, generator

    def __call__(self, truth: FloatArray) -> FloatArray:
        if self._kind == "normal":
            drawn = self._generator.standard_normal(len(truth))
        else:  # Student's t with three degrees of freedom has variance 3
            drawn = self._generator.standard_t(3, len(truth)) / np.sqrt(3.0)
        return np.asarray(truth * np.exp(self._size * drawn))


def _transferred(part: Networks, target: str, rows: IntArray, values: FloatArray) -> Transferred:
    own = part.hardware[target]
    names = [name for name in part.columns if part.hardware[name] != own]
    shown = np.column_stack([part.columns[name] for name in names])
    known = Known(part.features, shown, [part.hardware[name] for name in names])
    return transfer(known, rows, values)


def _certify(
    part: Networks,
    target: str,
    first: IntArray,
    noise: _Noise,
    limit: float,
    predicted: FloatArray,
    accuracy: FloatArray,
) -> Figures:
    truth = part.columns[target]
    values = noise(truth[first])
    onboarded = _transferred(part, target, first, values)
    spread = onboarded.spread * onboarded.inflation
    certifier = Certifier(limit, predicted, onboarded.latency, spread)
    for number in range(FURTHER):
        row = certifier.next(FURTHER - number)
        if row is None:
            break
        certifier.add(row, float(noise(truth[[row]])[0]))
        if number + 1 in REVISED:
            more = np.setdiff1d(certifier.measured, first)
            rows = np.concatenate([first, more])
            seen = np.concatenate([values, [certifier.mean(int(one)) for one in more]])
            again = _transferred(part, target, rows, seen)
            certifier.revise(again.latency, again.spread * again.inflation)
    feasible = truth <= limit
    best_predicted = float(predicted[feasible].max())
    best = float(accuracy[feasible].max())
    figures: Figures = {
        "predictor_part": best - float(accuracy[feasible][np.argmax(predicted[feasible])])
    }
    interval = onboarded.interval(LEVEL)
    for name, margin in (("uncertified", 0.0), ("margin", MARGIN), ("once", 0.0)):
        inside = np.flatnonzero(onboarded.latency * np.exp(margin * spread) <= limit)
        ranked = inside[np.argsort(-predicted[inside], kind="stable")]
        if name == "once":  # the same budget: the ten most promising, each measured once
            ranked = ranked[:FURTHER]
            ranked = ranked[noise(truth[ranked]) <= limit]
        if len(ranked) and name == "uncertified" and np.isfinite(interval[ranked[0], 1]):
            low, high = interval[ranked[0]]
            figures["winner_covered"] = float(low <= truth[ranked[0]] <= high)
        if len(ranked):
            figures[f"{name}_violation"] = float(truth[ranked[0]] > limit)
            if truth[ranked[0]] <= limit:  # what breaks the limit has no regret
                figures[f"{name}_regret"] = best - float(accuracy[ranked[0]])
    winner = certifier.best()
    figures["certified"] = float(winner is not None)
    if winner is not None:
        low, high = certifier.interval(winner, LEVEL)
        figures["certified_covered"] = float(low <= truth[winner] <= high)
        figures["violation"] = float(truth[winner] > limit)
        figures["cost"] = best_predicted - float(predicted[winner])
        figures["regret"] = best - float(accuracy[winner])
    return figures


def _rows(found: dict[str, list[tuple[float, str, Figures]]], seeds: int) -> list[Row]:
    rows = []

    def add(case: str, runs: list[Figures]) -> None:
        for method, metric, name in (
            ("certified", "violation_rate", "violation"),
            ("certified", "certified_share", "certified"),
            ("certified", "certification_cost", "cost"),
            ("certified", "regret", "regret"),
            ("certified", "regret_of_predictor", "predictor_part"),
            ("certified", "coverage_90", "certified_covered"),
            ("search without certificates", "coverage_90", "winner_covered"),
            ("search without certificates", "violation_rate", "uncertified_violation"),
            ("search without certificates", "regret", "uncertified_regret"),
            ("ten measured once, the best kept", "violation_rate", "once_violation"),
            ("ten measured once, the best kept", "regret", "once_regret"),
            ("margin of 1.645 sigma", "violation_rate", "margin_violation"),
            ("margin of 1.645 sigma", "regret", "margin_regret"),
        ):
            values = [run[name] for run in runs if name in run]
            if values:
                mean, n = float(np.mean(values)), len(values)
                rows.append(Row("certify", case, method, metric, n, mean, None, seeds))

    everything = [one for runs in found.values() for one in runs]
    for size, kind in NOISES:
        case = f"nasbench201, noise {100 * size:g} % {kind}, {len(found)} devices"
        add(case, [run for s, k, run in everything if (s, k) == (size, kind)])
    for kind in ("normal", "t(3)"):
        case = f"nasbench201, all {kind} noises, {len(found)} devices"
        add(case, [run for _, k, run in everything if k == kind])
    for target, runs in sorted(found.items()):
        values = [run["violation"] for _, _, run in runs if "violation" in run]
        case = f"nasbench201/{target}"
        mean = float(np.mean(values)) if values else float("nan")
        rows.append(
            Row("certify", case, "certified", "violation_rate", len(values), mean, None, seeds)
        )
    return rows
