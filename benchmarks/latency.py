"""Profile this machine for a space and compare estimates with networks that were in no fit.

With `--neighbours`, two processes of the benchmark's own keep the processor busy meanwhile.
`--save` keeps the tables with the machine's reference state; `--check`, an hour later, holds them
against other networks that are measured then.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.rows import Row, parser, report
from benchmarks.steadiness import busy
from lookup_tables import files
from lookup_tables.profile import LocalProfiler, references_as_dict, references_from
from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import Target
from nas_service.plugins import SPACES, load
from nas_service.space.base import ImageShape, SearchSpace
from nas_service.space.sampling import distinct
from nas_service.worker.devices.this_machine import ThisMachine
from nas_service.worker.tasks.profile_files import network_files
from nas_service.worker.tasks.profile_space import profile_space
from nas_service.worker.tasks.profile_table import check_table
from nas_service.worker.tasks.profile_timings import CHECK, measure_files

PRECISIONS = ("fp32", "int8")
N_UNSEEN = 30


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("latency", __doc__ or "")
    options.add_argument("--space", default="mbconv")
    options.add_argument("--size", type=int, default=32)
    options.add_argument("--budget-s", type=float, default=110.0)
    options.add_argument("--neighbours", action="store_true", help="two busy processes beside it")
    options.add_argument("--save", type=Path, help="folder to keep the tables in")
    options.add_argument("--check", type=Path, help="folder of tables that were kept")
    given = options.parse_args(arguments)
    space = load(SPACES, given.space)(ImageShape(given.size, 3, 10))
    case = f"{space.name} at {given.size}" + (", neighbours" if given.neighbours else "")
    with busy() if given.neighbours else contextlib.nullcontext():
        if given.check:
            rows = _checked(space, case, given.check, given.seed)
        else:
            rows = _profiled(space, case, given.budget_s, given.seed, given.save)
    report(rows, given.out)
    return 0


def _profiled(
    space: SearchSpace, case: str, budget_s: float, seed: int, save: Path | None
) -> list[Row]:
    version = runtime_versions()["onnxruntime"]
    targets = [Target("this-machine", "onnxruntime", version, p) for p in PRECISIONS]
    profiler = LocalProfiler()
    with tempfile.TemporaryDirectory() as folder:
        made = profile_space(
            space,
            targets,
            budget_s,
            seed,
            Path(folder),
            _say,
            profiler=profiler,
            networks=(ThisMachine.n_networks[0], N_UNSEEN),
        )
    rows = []
    for table, check in made:
        one = f"{case}, {table.target.precision}"
        rows += _errors(one, check)
        error = table.provenance["fill"]["left_out_median_error"]
        rows.append(Row("latency", one, "filled blocks", "median_error", table.n_measured, error))
        spent = float(table.provenance["profiled_s"])
        rows.append(Row("latency", one, "profile", "wall_s", len(table.entries), spent))
        share = float(table.provenance["steadiness"]["state_share"])
        rows.append(Row("latency", one, "profile", "state_share", 1, share))
        print(f"{one}: correction {table.calibration.form if table.calibration else 'none'}")
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            files.write(table, save / f"{space.name}-{table.target.precision}.jsonl")
            known = references_as_dict(profiler.references)
            (save / "references.json").write_text(json.dumps({"at": time.time(), **known}))
    return rows


def _checked(space: SearchSpace, case: str, folder: Path, seed: int) -> list[Row]:
    """Tables of another hour against networks of this one."""
    stored = json.loads((folder / "references.json").read_text())
    hours = (time.time() - stored.pop("at")) / 3600.0
    tables = [files.read(folder / f"{space.name}-{p}.jsonl") for p in PRECISIONS]
    targets = [table.target for table in tables]
    rows = distinct(space, N_UNSEEN, np.random.default_rng([seed, 29]))
    with tempfile.TemporaryDirectory() as name:
        networks = network_files(space, rows, targets, Path(name), _say, (0.0, 0.7), None, N_UNSEEN)
        profiler = LocalProfiler(references_from(stored))
        timings = measure_files(profiler, {CHECK: networks}, targets, None, seed)
    found = []
    for table in tables:
        precision = table.target.deployment.name
        measured = {i: timings[f"{CHECK}/{precision}/{i}"] for i in range(N_UNSEEN)}
        check = check_table(space, table, rows, measured)
        found += _errors(f"{case}, {precision}, table {hours:.1f} h old", check)
    return found


def _errors(case: str, check: dict[str, float]) -> list[Row]:
    n = int(check["n"])
    rows = [
        Row("latency", case, "calibrated", metric, n, float(check[metric]))
        for metric in ("mean_error", "max_error", "spearman", "n_unstable")
    ]
    plain = float(check["mean_error_of_plain_sum"])
    return [*rows, Row("latency", case, "plain sum", "mean_error", n, plain)]


def _say(fraction: float, message: str) -> None:
    print(f"{100 * fraction:3.0f} % {message}", file=sys.stderr)
