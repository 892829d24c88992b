"""A space's tables of measured blocks: files are built, measured, and a table made a target."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from lookup_tables.measuring.timing import Timing
from lookup_tables.outliers import absurd_entries
from lookup_tables.profile import LocalProfiler, Profiler
from lookup_tables.ratio import MIN_NETWORKS
from lookup_tables.table import LookupTable
from lookup_tables.target import Target
from nas_service.engine.child import Progress
from nas_service.space.base import IntArray, SearchSpace
from nas_service.worker.devices.this_machine import ThisMachine
from nas_service.worker.tasks.profile_files import Clock, block_files, network_files
from nas_service.worker.tasks.profile_plan import MAX_BLOCKS, ProfilePlan, plan_of
from nas_service.worker.tasks.profile_table import entries_of, table_of
from nas_service.worker.tasks.profile_timings import BLOCKS, CHECK, FIT, Files, measure_files

_BUILT, _MEASURED = 0.45, 0.97
"""Parts of the progress by which files are built, and measured."""
_AGAIN_SHARE = 0.1
"""Of the budget, beside it: at most this long are blocks that nobody believes measured again."""


def profile_space(
    space: SearchSpace,
    targets: Sequence[Target],
    budget_s: float,
    seed: int,
    folder: Path,
    report: Progress,
    *,
    profiler: Profiler | None = None,
    networks: tuple[int, int] = ThisMachine.n_networks,
    max_blocks: int = MAX_BLOCKS,
    building: Callable[[], AbstractContextManager[None]] = nullcontext,
    widths: Sequence[float] = (),
) -> list[tuple[LookupTable, dict[str, Any]]]:
    """A table a target, each with a check on networks that were in no fit.

    `networks` are how many to calibrate with and to check on; `building` is entered while files
    are made; `widths` are those of narrower networks that the tables price too.
    """
    clock = Clock(time.monotonic(), budget_s)
    profiler = profiler or LocalProfiler()
    plan = plan_of(space, seed, networks, max_blocks, widths)
    with building():
        files = _files(space, plan, targets, folder, clock, report)
    n_files = sum(len(paths) for group in files.values() for paths in group.values())
    what = f"measuring {n_files} files of blocks and networks"

    def on_progress(fraction: float, note: str) -> None:
        at = _BUILT + (_MEASURED - _BUILT) * fraction
        report(at, f"{what}: {note}" if note else what)

    report(_BUILT, what)
    timings = measure_files(
        profiler, files, targets, clock.left(1.0), seed, on_progress=on_progress
    )
    steadiness = profiler.steadiness
    doubtful = _doubtful(plan, targets, files, timings)
    if doubtful[BLOCKS]:
        n_doubtful = len(doubtful[BLOCKS])
        report(_MEASURED, f"measuring {n_doubtful} blocks again that others do not support")
        again_s = _AGAIN_SHARE * budget_s
        timings = timings | measure_files(profiler, doubtful, targets, again_s, seed + 1)
    report(_MEASURED, "fitting")
    return [
        table_of(space, target, plan, files, timings, profiler, steadiness, clock)
        for target in targets
    ]


def _files(
    space: SearchSpace,
    plan: ProfilePlan,
    targets: Sequence[Target],
    folder: Path,
    clock: Clock,
    report: Progress,
) -> Files:
    """Everything that is measured, built first: all of it is measured side by side."""

    def networks(group: str, rows: IntArray, span: tuple[float, float], least: int) -> Any:
        return network_files(space, rows, targets, folder / group, report, span, clock, least)

    return {
        BLOCKS: block_files(plan.blocks, targets, folder / BLOCKS, clock, report),
        FIT: networks(FIT, plan.for_fit, (0.1, 0.28), MIN_NETWORKS),
        CHECK: networks(CHECK, plan.for_check, (0.28, _BUILT), min(5, len(plan.for_check))),
    }


def _doubtful(
    plan: ProfilePlan, targets: Sequence[Target], files: Files, timings: Mapping[str, Timing]
) -> Files:
    """The files of blocks that come out absurd on one of the targets."""
    found: set[str] = set()
    for target in targets:
        name = target.deployment.name
        measured = {i: timings[f"{BLOCKS}/{name}/{i}"] for i in files[BLOCKS]}
        found |= absurd_entries(entries_of(plan.blocks, measured)).keys()
    return {BLOCKS: {i: one for i, one in files[BLOCKS].items() if plan.blocks[i].key in found}}
