"""A space's tables of measured blocks: what is measured, in which order, and what comes of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibrate import fit_calibration
from lookup_tables.errors import ProfilingFailed
from lookup_tables.fill import MIN_MEASURED, FillReport, design, fill
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.outliers import absurd_entries, replaceable
from lookup_tables.profile import LocalProfiler, Profiler, references_as_dict
from lookup_tables.ratio import MIN_NETWORKS
from lookup_tables.runtimes.registry import measured_together
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Target
from nas_service.engine.child import Progress
from nas_service.search.cost import CostModel, all_blocks
from nas_service.search.quantities.base import Priced
from nas_service.space.base import IntArray, SearchSpace, describe
from nas_service.space.narrowed import NarrowedSpace
from nas_service.space.sampling import distinct
from nas_service.worker.devices.this_machine import ThisMachine
from nas_service.worker.tasks.profile_files import (
    Clock,
    block_files,
    file_key,
    network_files,
)
from nas_service.worker.tasks.profile_ratios import ratios_of
from predictors.quality import spearman

MAX_BLOCKS = 240
"""Fewer whole networks on the devices of agents, where each one takes longer."""
BLOCK_PROTOCOL = Protocol(turns=4, most_turns=12, settled_error=0.01, max_error=0.05)
NETWORK_PROTOCOL = Protocol(turns=8, most_turns=32)
BLOCKS, FIT, CHECK = "blocks", "fit", "check"
"""What files are for: the first part of their names."""
_BUILT, _MEASURED = 0.45, 0.97
"""Parts of the progress by which files are built, and measured."""
_AGAIN_SHARE = 0.1
"""Of the budget, beside it: at most this long are blocks that nobody believes measured again."""


@dataclass(frozen=True)
class ProfilePlan:
    """What is measured: some of all blocks, networks to calibrate with and to check on."""

    everything: list[Block]
    blocks: list[Block]
    for_fit: IntArray
    for_check: IntArray


def plan_of(
    space: SearchSpace,
    seed: int,
    networks: tuple[int, int],
    max_blocks: int = MAX_BLOCKS,
    widths: Sequence[float] = (),
) -> ProfilePlan:
    """The same plan for the same space, seed and sizes; blocks as each of `widths` leaves them."""
    n_fit, n_check = networks
    spaces = [space, *(NarrowedSpace(space, width) for width in widths if width < 1.0)]
    everything = sorted({block for one in spaces for block in all_blocks(one)})
    samples = distinct(space, n_fit + n_check, np.random.default_rng([seed, 11]))
    if len(samples) < n_fit + n_check:  # a small space: some of it is left to check on
        n_fit = round(len(samples) * n_fit / (n_fit + n_check))
        if n_fit < MIN_NETWORKS:
            raise ProfilingFailed(
                f"space {space.name} has {len(samples)} networks: too few to fit and check a table "
                f"on (at least {2 * MIN_NETWORKS})"
            )
    return ProfilePlan(
        everything,
        design(everything, max_blocks, seed=seed),
        np.concatenate([space.smallest()[None, :], samples[: n_fit - 1]]),
        samples[n_fit - 1 : n_fit - 1 + n_check],
    )


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
        _table_of(space, target, plan, files, timings, profiler, steadiness, clock)
        for target in targets
    ]


Files = Mapping[str, Mapping[int, Mapping[str, Path]]]
"""Of blocks, networks to fit with and to check on: number, form, path."""


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


def _filled(
    target: Target, blocks: Sequence[Entry], plan: ProfilePlan
) -> tuple[LookupTable, FillReport, dict[str, float]]:
    """A table of all blocks, without those that blocks like them call absurd, which come beside.

    Absurd ones that nothing else can stand for stay, marked as unstable.
    """
    absurd = absurd_entries(blocks)
    aside = replaceable(blocks, absurd)
    kept = tuple(
        replace(one, stable=one.stable and one.block.key not in absurd)
        for one in blocks
        if one.block.key not in aside
    )
    table, filled = fill(LookupTable(target, kept), plan.everything)
    return table, filled, {key: absurd[key] for key in sorted(aside)}


def _doubtful(
    plan: ProfilePlan, targets: Sequence[Target], files: Files, timings: Mapping[str, Timing]
) -> Files:
    """The files of blocks that come out absurd on one of the targets."""
    found: set[str] = set()
    for target in targets:
        name = target.deployment.name
        measured = {i: timings[f"{BLOCKS}/{name}/{i}"] for i in files[BLOCKS]}
        found |= absurd_entries(_entries(plan.blocks, measured)).keys()
    return {BLOCKS: {i: one for i, one in files[BLOCKS].items() if plan.blocks[i].key in found}}


def _told(filled: FillReport) -> dict[str, Any]:
    """How many blocks are measured, how many filled, and how well."""
    return {
        "n_measured": filled.n_measured,
        "n_filled": filled.n_filled,
        "left_out_median_error": round(filled.median_error, 4),
        "left_out_p90_error": round(filled.p90_error, 4),
    }


def _asked_of(space: SearchSpace, target: Target) -> dict[str, Any]:
    """What was measured, and how."""
    return {
        "space": space.name,
        space.sample.name: space.sample.as_dict(),
        "protocol": {
            "blocks": BLOCK_PROTOCOL.as_dict(),
            "networks": NETWORK_PROTOCOL.as_dict(),
            "borders": "float32" if target.deployment.form == "fp32" else "uint8",
        },
        "threads": target.threads,
        "runtime": f"{target.runtime} {target.runtime_version}",
    }


def _table_of(
    space: SearchSpace,
    target: Target,
    plan: ProfilePlan,
    files: Files,
    timings: Mapping[str, Timing],
    profiler: Profiler,
    steadiness: Steadiness | None,
    clock: Clock,
) -> tuple[LookupTable, dict[str, Any]]:
    """One target's table with its check."""
    name = target.deployment.name

    def of(group: str) -> dict[int, Timing]:
        return {i: timings[f"{group}/{name}/{i}"] for i in files[group]}

    measured_blocks = of(BLOCKS)
    blocks = _entries(plan.blocks, measured_blocks)
    table, filled, absurd = _filled(target, blocks, plan)
    model = CostModel(space, table, None)
    fitted = steady(of(FIT))
    rows = plan.for_fit[list(fitted)]
    measured = np.array([timing.p50_ms for timing in fitted.values()])
    calibration = fit_calibration(
        model.sums_by_column(rows),
        measured,
        parts=model.parts(),
        variants=model.variants,
        junctions=model.junctions,
    )
    priced = Priced(target.deployment, space, model)
    ratios = ratios_of(
        priced,
        target,
        plan.for_fit,
        of(FIT),
        {number: paths[file_key(target)] for number, paths in files[FIT].items()},
        here=isinstance(profiler, LocalProfiler),
    )
    everything = [*measured_blocks.values(), *of(FIT).values(), *of(CHECK).values()]
    provenance = {
        **_asked_of(space, target),
        "references": references_as_dict(profiler.references),
        "steadiness": steadiness_of(everything, steadiness),
        "n_unstable_left_out": len(measured_blocks) - len(blocks),
        "quarantined": absurd,
        "fill": _told(filled),
        "calibration_networks": [
            {
                "architecture": describe(space, plan.for_fit[i])["decisions"],
                **timing.as_dict(),
            }
            for i, timing in fitted.items()
        ],
        "profiled_s": round(time.monotonic() - clock.started, 1),
        "budget_s": clock.budget_s,
    }
    table = replace(table, provenance=provenance, calibration=calibration, ratios=ratios)
    return table, check_table(space, table, plan.for_check, of(CHECK))


def steadiness_of(timings: Sequence[Timing], machine: Steadiness | None) -> dict[str, Any]:
    """How steady the device was while a table was measured, and what more time would give."""
    stable = [one for one in timings if one.stable]
    errors = [one.error for one in stable if one.error is not None]
    observed = [
        one.observed_p90_ms / one.p50_ms for one in stable if one.observed_p90_ms is not None
    ]
    shared = {} if machine is None else machine.as_dict()
    shared.pop("reference", None)  # the table has it beside
    return {
        **shared,
        "n_files": len(timings),
        "n_stable": len(stable),
        "median_error": round(float(np.median(errors)), 5) if errors else None,
        "observed_p90_over_p50": round(float(np.median(observed)), 4) if observed else None,
    }


_ENOUGH = 0.75


def steady(timings: Mapping[int, Timing]) -> dict[int, Timing]:
    """The networks that were measured stably; all where those are too few.

    Three in four: a fit of four numbers on the few that a noisy machine leaves is worse than one
    on all.
    """
    stable = {i: timing for i, timing in timings.items() if timing.stable}
    few = len(stable) < max(MIN_NETWORKS, _ENOUGH * len(timings))
    return dict(timings) if few else stable


def check_table(
    space: SearchSpace, table: LookupTable, every: IntArray, timings: Mapping[int, Timing]
) -> dict[str, Any]:
    """Estimates beside measurements of networks that no fit has seen: `timings` of rows of `every`.

    Those that were measured stably count, where there are five of them.
    """
    chosen = steady(timings)
    rows = every[list(chosen)]
    measured = np.array([timing.p50_ms for timing in chosen.values()])
    model = CostModel(space, table, table.calibration)
    estimated = model.latency_ms(rows)
    plain = model.sums(rows)[:, 0]
    return {
        "n": len(rows),
        "statistic": "p50",
        "mean_error": round(float(np.mean(np.abs(estimated / measured - 1.0))), 4),
        "max_error": round(float(np.max(np.abs(estimated / measured - 1.0))), 4),
        "mean_error_of_plain_sum": round(float(np.mean(np.abs(plain / measured - 1.0))), 4),
        "spearman": round(spearman(estimated, measured), 4),
        "n_unstable": sum(not one.stable for one in timings.values()),
        "networks": [
            {"estimated_ms": round(float(e), 5), "measured_ms": round(float(m), 5)}
            for e, m in zip(estimated, measured, strict=True)
        ],
    }


def _entries(blocks: Sequence[Block], timings: dict[int, Timing]) -> list[Entry]:
    """Measured entries; unstable ones are left to be filled, where others can stand for them."""
    stable = Counter(blocks[i].kind for i, timing in timings.items() if timing.stable)
    return [
        _entry(blocks[i], timing)
        for i, timing in timings.items()
        if timing.stable or stable[blocks[i].kind] < 2 * MIN_MEASURED
    ]


def _entry(block: Block, timing: Timing) -> Entry:
    return Entry(
        block,
        p10_ms=timing.p10_ms,
        p50_ms=timing.p50_ms,
        p90_ms=timing.p90_ms,
        p99_ms=timing.p99_ms,
        spread=timing.spread,
        n=timing.n,
        stable=timing.stable,
        measured_at=timing.measured_at,
        energy_mj=timing.energy_mj,
    )


def measure_files(
    profiler: Profiler,
    files: Files,
    targets: Sequence[Target],
    budget_s: float | None,
    seed: int,
    *,
    on_progress: OnProgress | None = None,
) -> dict[str, Timing]:
    """Timings of `group/deployment/number`: files `{group: {number: {form: path}}}` everywhere.

    What one runtime runs by the same settings is measured side by side.
    """
    groups: dict[tuple[str, str], list[Target]] = {}
    for target in targets:
        groups.setdefault(measured_together(target), []).append(target)
    found: dict[str, Timing] = {}
    for members in groups.values():
        models = {
            f"{group}/{t.deployment.name}/{i}": paths[file_key(t)]
            for group, numbered in files.items()
            for i, paths in numbered.items()
            for t in members
        }
        blocks = [name for name in models if name.startswith(f"{BLOCKS}/")]
        share = None if budget_s is None else budget_s * len(members) / len(targets)
        found |= profiler.measure(
            models,
            members[0],
            protocol=NETWORK_PROTOCOL,
            protocols=dict.fromkeys(blocks, BLOCK_PROTOCOL),
            budget_s=share,
            seed=seed,
            on_progress=on_progress,
        )
    return found
