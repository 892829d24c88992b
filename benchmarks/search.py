"""How fast do samplers find the front of accuracy against cost? On NAS-Bench-201, all devices.

Share: the area that the queried cells dominate in the plane (ln cost, accuracy) against the point
(largest cost, 60 % on CIFAR-100, 84 % on CIFAR-10), over the area that the true front dominates.
The space has one cell a class of cells that compute the same (4,929).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import nb201
from benchmarks.peers import METHODS, Lookup
from benchmarks.rows import Row, parser, report
from nas_service.errors import InvalidSpec
from nas_service.settings import Settings
from nas_service.space.base import FloatArray


@dataclass(frozen=True)
class Share:
    """What a method that takes long itself is measured on."""

    devices: int
    seeds: int
    queries: int


SLOW = {"Optuna GP": Share(2, 1, 100), "Optuna TPE": Share(6, 2, 200)}

Run = tuple[str, str, str, int]


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("search", __doc__ or "")
    options.add_argument("--data", type=Path, help="folder of the tables; default NAS_BENCH_DATA")
    options.add_argument("--task", action="append", choices=sorted(nb201.TASKS))
    options.add_argument("--method", action="append", help="default: all", choices=list(METHODS))
    options.add_argument("--without", action="append", default=[], help="leave a method out")
    options.add_argument("--device", action="append", help="part of a column's name; default: all")
    options.add_argument("--queries", type=int, action="append", help="default: 50, 100, 200")
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--peer-seeds", type=int, default=3, help="seeds of every peer")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options.add_argument("--per-device", action="store_true", help="a row a device, too")
    given = options.parse_args(arguments)
    folder = given.data or Settings().bench_data
    marks = sorted(given.queries or (50, 100, 200))
    try:
        known = nb201.cells(folder)
        costs = nb201.devices(folder, known.index)
    except InvalidSpec as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    names = [n for n in costs if not given.device or any(part in n for part in given.device)]
    tasks = given.task or list(nb201.TASKS)
    runs: list[Run] = []
    for method in given.method or [one for one in METHODS if one not in given.without]:
        share = SLOW.get(method, Share(len(names), given.peer_seeds, marks[-1]))
        some = names[:: max(1, len(names) // share.devices)][: share.devices]
        n_seeds = given.seeds if method == "guided" else min(share.seeds, given.peer_seeds)
        runs += [(t, d, method, s) for t in tasks for d in some for s in range(n_seeds)]
    found = _all(folder, runs, marks, given.jobs)
    report(_rows(found, tasks, marks, per_device=given.per_device), given.out)
    return 0


def _all(folder: Path, runs: list[Run], marks: list[int], jobs: int) -> dict[Run, FloatArray]:
    """Every run's figures, in as many processes as asked for."""
    found: dict[Run, FloatArray] = {}
    started = time.monotonic()
    # read by numpy when it is imported, so workers start afresh
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    # long runs are spread over all workers by mixing the order
    mixed = [runs[i] for i in np.random.default_rng(0).permutation(len(runs))]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _prepare, (folder,)) as workers:
        waiting = {workers.submit(_one, run, _reached(run[2], marks)): run for run in mixed}
        for number, future in enumerate(as_completed(waiting), start=1):
            found[waiting[future]] = future.result()
            if number % max(1, len(runs) // 50) == 0:
                left = (time.monotonic() - started) / number * (len(runs) - number)
                print(f"{number} of {len(runs)} runs, {left:.0f} s left", file=sys.stderr)
    return {run: found[run] for run in runs}


def _reached(method: str, marks: list[int]) -> list[int]:
    """The marks that a method is taken to; the first one at least."""
    last = SLOW[method].queries if method in SLOW else marks[-1]
    return [mark for mark in marks if mark <= last] or marks[:1]


_KNOWN: dict[str, object] = {}


def _prepare(folder: Path) -> None:
    known = nb201.cells(folder)
    _KNOWN["cells"] = known
    _KNOWN["costs"] = nb201.devices(folder, known.index)


def _one(run: Run, marks: list[int]) -> FloatArray:
    """Shares at the marks, share of front members found at the last, repeats, seconds."""
    task, device, method, seed = run
    known, costs = _KNOWN["cells"], _KNOWN["costs"]
    assert isinstance(known, nb201.Cells)
    assert isinstance(costs, dict)
    accuracy, cost = known.accuracy(task), costs[device]
    cheap = known.columns[nb201.CHEAP[task]] / 100.0
    lookup = Lookup(nb201.space(), known.of, known.genotypes, accuracy, cost, cheap)
    started = time.process_time()
    order, log = METHODS[method](lookup, marks[-1], seed)
    spent = time.process_time() - started
    floor, log_cost = nb201.TASKS[task][1], np.log(cost)
    whole = nb201.dominated(log_cost, accuracy, log_cost.max(), floor)
    shares = [
        nb201.dominated(log_cost[order[:n]], accuracy[order[:n]], log_cost.max(), floor) / whole
        for n in marks
    ]
    best = nb201.front(log_cost, accuracy)
    best = best[accuracy[best] > floor]
    members = float(np.isin(best, order).mean())
    return np.array([*shares, members, log.repeats / max(log.proposals, 1), spent])


def _rows(
    found: dict[Run, FloatArray], tasks: list[str], marks: list[int], *, per_device: bool
) -> list[Row]:
    rows = []
    methods = list(dict.fromkeys(run[2] for run in found))
    for task in tasks:
        mine = {m: {r: v for r, v in found.items() if r[::2] == (task, m)} for m in methods}
        met = {m: tuple(dict.fromkeys(run[1] for run in mine[m])) for m in methods}
        every = max(met.values(), key=len)
        for method in methods:
            rows += _of(task, method, mine[method], met[method], _reached(method, marks))
            if per_device:
                for device in met[method]:
                    own = _reached(method, marks)
                    rows += _of(task, method, mine[method], (device,), own, device)
        # a method on fewer devices is to be compared with ours on those
        for devices in dict.fromkeys(met.values()):
            if devices != every and "guided" in met:
                rows += _of(task, "guided", mine["guided"], devices, marks)
    return rows


def _of(
    task: str,
    method: str,
    runs: dict[Run, FloatArray],
    devices: tuple[str, ...],
    marks: list[int],
    label: str | None = None,
) -> list[Row]:
    """One method's rows: means over devices, with the deviation of that mean over seeds."""
    seeds = sorted({run[3] for run in runs})
    values = np.array([[runs[task, d, method, s] for s in seeds] for d in devices])
    metrics = [*(("share", n) for n in marks), ("front_found", marks[-1])]
    metrics += [("repeats", marks[-1]), ("cpu_s", marks[-1])]
    rows = []
    for column, (metric, n) in enumerate(metrics):
        means = values[:, :, column].mean(axis=0)
        std = float(means.std(ddof=1)) if len(seeds) > 1 else None
        case = f"{task}, {label or f'{len(devices)} devices'}"
        rows.append(Row("search", case, method, metric, n, float(means.mean()), std, len(seeds)))
    return rows
