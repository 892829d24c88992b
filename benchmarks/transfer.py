"""A new device from k measured networks: how well are all others then priced?

References are the columns of all other hardware in the same space. k networks are drawn at random
and measured (their value in the column is read); all are scored.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.device_tables import SPACES, Networks, is_gpu, networks
from benchmarks.rows import Row, parser, report
from lookup_tables.transfer import Known, transfer
from nas_service.errors import InvalidSpec
from nas_service.settings import Settings
from nas_service.space.base import FloatArray, IntArray
from predictors.quality import spearman

PUBLISHED = {"HELP (NeurIPS 2021, as published, its own protocol)": {10: 0.932}}
LEVELS = (0.9, 0.95)
GOOD, POOR = 0.93, 0.85
"""Rank correlations above which a transfer is trusted, below which it must not be."""
GROUPS = {"help": "HELP's", "hwnas": "Jetson TX2", "pi5": "Raspberry Pi 5"}
"""Columns that are averaged, by their file."""
Figures = dict[str, float]
Method = Callable[[Networks, str, IntArray], Figures]


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("transfer", __doc__ or "")
    options.add_argument("--data", type=Path, help="folder of the tables; default NAS_BENCH_DATA")
    options.add_argument("--k", type=int, action="append", help="default: 10, 20, 50")
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--space", action="append", choices=SPACES)
    options.add_argument("--device", action="append", help="part of a column's name; default: all")
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args(arguments)
    folder = given.data or Settings().bench_data
    ks = sorted(given.k or (10, 20, 50))
    try:
        sets = [one for name in given.space or SPACES for one in networks(folder, name)]
    except InvalidSpec as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    rows: list[Row] = []
    for one in sets:
        targets = [
            name
            for name in one.targets
            if not given.device or any(part in name for part in given.device)
        ]
        started = time.monotonic()
        with ProcessPoolExecutor(given.jobs, get_context("spawn")) as workers:
            waiting = {
                workers.submit(_target, one, target, ks, given.seeds): target for target in targets
            }
            done = {}
            for future in as_completed(waiting):
                done[waiting[future]] = future.result()
                left = (time.monotonic() - started) / len(done) * (len(targets) - len(done))
                print(f"{one.space}: {len(done)} of {len(targets)}, {left:.0f} s", file=sys.stderr)
        rows += _rows(one.space, {target: done[target] for target in targets}, given.seeds)
    if "nasbench201" in (given.space or SPACES):
        for method, values in PUBLISHED.items():
            case = "nasbench201, HELP's columns"
            rows += [Row("transfer", case, method, "spearman", n, v) for n, v in values.items()]
    report(rows, given.out)
    return 0


def _target(
    one: Networks, target: str, ks: list[int], seeds: int
) -> dict[tuple[str, int], list[Figures]]:
    """Every method's figures on one target, by k, a row a seed."""
    found: dict[tuple[str, int], list[Figures]] = {}
    for name, method in METHODS.items():
        if "GPU" in name and is_gpu(target):
            continue
        for k in ks:
            for seed in range(seeds):
                drawn = np.random.default_rng([seed, k]).permutation(len(one.columns[target]))[:k]
                found.setdefault((name, k), []).append(method(one, target, drawn))
    return found


def _references(one: Networks, target: str, *, gpu: bool = False) -> list[str]:
    own = one.hardware[target]
    return [name for name in one.columns if one.hardware[name] != own and (is_gpu(name) or not gpu)]


def _judged(estimate: FloatArray, truth: FloatArray) -> Figures:
    return {
        "spearman": spearman(estimate, truth),
        "median_error": float(np.median(np.abs(estimate / truth - 1.0))),
    }


def _ours(one: Networks, target: str, measured: IntArray, *, gpu: bool = False) -> Figures:
    names = _references(one, target, gpu=gpu)
    columns = [one.columns[name] for name in names]
    truth = one.columns[target]
    shown = np.column_stack(columns) if columns else np.empty((len(truth), 0))
    known = Known(one.features, shown, [one.hardware[name] for name in names])
    found = transfer(known, measured, truth[measured])
    figures = _judged(found.latency, truth)
    figures["doubtful"] = float(found.doubtful)
    figures["expected_spearman"] = found.expected_spearman
    fresh = int(np.random.default_rng(int(measured[0])).integers(len(truth)))
    for level in LEVELS:
        low, high = found.interval(level).T
        if np.isfinite(high).all():
            # one published interval a run: that of one random network
            figures[f"coverage_{level:g}"] = float(low[fresh] <= truth[fresh] <= high[fresh])
            rest = np.setdiff1d(np.arange(len(truth)), measured)
            inside = (low[rest] <= truth[rest]) & (truth[rest] <= high[rest])
            figures[f"coverage_{level:g}_of_all"] = float(inside.mean())
            figures[f"interval_{level:g}_width"] = float(np.median(high / low - 1.0))
    return figures


def _gpu_only(one: Networks, target: str, measured: IntArray) -> Figures:
    return _ours(one, target, measured, gpu=True)


def _ridge(one: Networks, target: str, measured: IntArray) -> Figures:
    """Log latency on counts of operators, the penalty of the field's baseline."""
    rows, truth = one.features[next(iter(one.features))], one.columns[target]
    part = rows[measured]
    centre, spread = part.mean(axis=0), part.std(axis=0) + 1e-9
    scaled, goal = (part - centre) / spread, np.log(truth[measured])
    gram = scaled.T @ scaled + np.eye(rows.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (goal - goal.mean()))
    return _judged(np.exp((rows - centre) / spread @ weights + goal.mean()), truth)


def _nearest(one: Networks, target: str, measured: IntArray) -> Figures:
    """The reference whose ranks agree best on the measured networks, scaled to them."""
    truth = one.columns[target]
    best, agreement = np.ones(len(truth)), -np.inf
    for name in _references(one, target):
        column = one.columns[name]
        found = spearman(column[measured], truth[measured])
        if found > agreement:
            best, agreement = column, found
    return _judged(best * np.median(truth[measured] / best[measured]), truth)


METHODS: dict[str, Method] = {
    "transfer": _ours,
    "transfer, GPU references only": _gpu_only,
    "ridge on operator counts": _ridge,
    "nearest device": _nearest,
}


def _rows(
    space: str,
    done: dict[str, dict[tuple[str, int], list[Figures]]],
    seeds: int,
) -> list[Row]:
    rows = []
    groups: dict[str, list[str]] = {}
    for target in done:
        groups.setdefault(GROUPS.get(target.partition("/")[0], target), []).append(target)
    for target, found in done.items():
        for (method, k), runs in found.items():
            for metric in ("spearman", "median_error"):
                values = np.array([run[metric] for run in runs])
                std = float(values.std(ddof=1)) if seeds > 1 else None
                case = f"{space}/{target}"
                mean = float(values.mean())
                rows.append(Row("transfer", case, method, metric, k, mean, std, seeds))
    for group, targets in groups.items():
        for method, k in dict.fromkeys(key for target in targets for key in done[target]):
            mine = [done[target][method, k] for target in targets if (method, k) in done[target]]
            metrics = dict.fromkeys(m for runs in mine for run in runs for m in run)
            for metric in metrics:
                values = np.array([[run.get(metric, np.nan) for run in runs] for runs in mine])
                if metric in ("doubtful", "expected_spearman"):
                    continue
                means = np.nanmean(values, axis=0)
                std = float(means.std(ddof=1)) if seeds > 1 else None
                case = f"{space}, {group} columns ({len(mine)})"
                rows.append(
                    Row("transfer", case, method, metric, k, float(means.mean()), std, seeds)
                )
    return rows + _doubts(space, done, seeds)


def _doubts(
    space: str, done: dict[str, dict[tuple[str, int], list[Figures]]], seeds: int
) -> list[Row]:
    """How often poor transfers were doubted, and good ones."""
    runs = [
        run
        for found in done.values()
        for (method, _), some in found.items()
        if method == "transfer"
        for run in some
    ]
    true = np.array([run["spearman"] for run in runs])
    said = np.array([run["doubtful"] for run in runs])
    rows = []
    for name, which in (("doubted_of_poor", true < POOR), ("doubted_of_good", true >= GOOD)):
        if which.any():
            share = float(said[which].mean())
            groups = dict.fromkeys(GROUPS.get(t.partition("/")[0], t) for t in done)
            case = f"{space}, {' and '.join(groups)}, all k"
            rows.append(
                Row("transfer", case, "transfer", name, int(which.sum()), share, None, seeds)
            )
    return rows
