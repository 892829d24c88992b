"""Profile this machine for a space and compare estimates with networks that were in no fit."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.rows import Row, parser, report
from lookup_tables.runtimes import runtime_versions
from lookup_tables.target import PRECISIONS, Target
from nas_service.plugins import SPACES, load
from nas_service.space.base import ImageShape
from nas_service.worker.tasks.profile_space import profile_space


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("latency", __doc__ or "")
    options.add_argument("--space", default="mbconv")
    options.add_argument("--size", type=int, default=32)
    options.add_argument("--budget-s", type=float, default=60.0)
    given = options.parse_args(arguments)
    space = load(SPACES, given.space)(ImageShape(given.size, 3, 10))
    version = runtime_versions()["onnxruntime"]
    targets = [Target("this-machine", "onnxruntime", version, p) for p in PRECISIONS]

    def say(fraction: float, message: str) -> None:
        print(f"{100 * fraction:3.0f} % {message}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        made = profile_space(space, targets, given.budget_s, given.seed, Path(folder), say)
    rows = []
    for table, check in made:
        case = f"{space.name} at {given.size}, {table.target.precision}"
        rows += [
            Row("latency", case, "calibrated", metric, check["n"], check[metric])
            for metric in ("mean_error", "max_error", "spearman")
        ]
        plain = check["mean_error_of_plain_sum"]
        rows.append(Row("latency", case, "plain sum", "mean_error", check["n"], plain))
        error = table.provenance["fill"]["left_out_median_error"]
        rows.append(Row("latency", case, "filled blocks", "median_error", table.n_measured, error))
        spent = float(table.provenance["profiled_s"])
        rows.append(Row("latency", case, "profile", "wall_s", len(table.entries), spent))
    report(rows, given.out)
    return 0
