"""A space's tables of measured blocks: what is measured, in which order, and what comes of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables import anchor
from lookup_tables.blocks import Block
from lookup_tables.calibrate import MIN_NETWORKS, fit_calibration
from lookup_tables.fill import MIN_MEASURED, absurd_entries, design, fill
from lookup_tables.measure import Protocol, Timing
from lookup_tables.profile import LocalProfiler, Profiler
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import PLAIN_RUNTIME, Target
from nas_service.engine.child import Progress
from nas_service.search.cost import CostModel, all_blocks
from nas_service.space.base import IntArray, SearchSpace, describe
from nas_service.space.narrowed import NarrowedSpace
from nas_service.space.sampling import distinct
from nas_service.worker.tasks.profile_files import (
    BLOCKS_SHARE,
    NETWORKS_SHARE,
    Clock,
    block_files,
    file_key,
    network_files,
)
from predictors.quality import spearman

MAX_BLOCKS = 240
N_CALIBRATION, N_CHECK = 24, 20
N_CALIBRATION_REMOTE, N_CHECK_REMOTE = 13, 7
"""Fewer whole networks on the devices of agents, where each one takes longer."""
BLOCK_PROTOCOL = Protocol(rounds=12, warmups=2, repeats=10)
NETWORK_PROTOCOL = Protocol(rounds=16, warmups=2, repeats=10)


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
    networks: tuple[int, int] = (N_CALIBRATION, N_CHECK),
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
    everything, chosen = plan.everything, plan.blocks
    for_fit, for_check = plan.for_fit, plan.for_check
    with building():
        files = block_files(chosen, targets, folder, clock, report)
    what = f"measuring {len(files)} of {len(everything)} blocks"
    report(0.25, what)
    timings = measure_files(
        profiler,
        files,
        targets,
        BLOCK_PROTOCOL,
        clock.left(BLOCKS_SHARE),
        seed,
        lambda done, of: report(0.25 + 0.15 * min(done / of, 1.0), what),
    )
    with building():
        fit_files = network_files(
            space, for_fit, targets, folder / "fit", report, (0.4, 0.6), clock, MIN_NETWORKS
        )
        anchor_file = anchor.write_anchor(folder)
    fitted = measure_networks(
        profiler, fit_files, targets, clock.left(NETWORKS_SHARE), seed, anchor_file
    )
    with building():
        check_files = network_files(
            space, for_check, targets, folder / "check", report, (0.65, 0.85), None, len(for_check)
        )
    report(0.9, f"checking on {len(check_files)} networks")
    checked = measure_networks(profiler, check_files, targets, None, seed + 1, anchor_file)
    made = []
    for target in targets:
        blocks = _entries(chosen, {i: timings[f"{target.deployment.name}/{i}"] for i in files})
        table, filled = fill(LookupTable(target, tuple(blocks)), everything)
        absurd = absurd_entries(table)
        if absurd:
            kept = tuple(one for one in blocks if one.block.key not in absurd)
            table, filled = fill(LookupTable(target, kept), everything)
        model = CostModel(space, table, None)
        told = steady(fitted, target.deployment.name, len(fit_files))
        rows = for_fit[list(told)]
        measured = np.array([timing.p50_ms for timing in told.values()])
        calibration = fit_calibration(model.sums(rows), measured)
        provenance = {
            "space": space.name,
            "image": space.image.as_dict(),
            "protocol": {
                "blocks": BLOCK_PROTOCOL.as_dict(),
                "networks": NETWORK_PROTOCOL.as_dict(),
                "borders": "float32" if target.deployment.form == "fp32" else "uint8",
            },
            "threads": target.threads,
            "runtime": f"{target.runtime} {target.runtime_version}",
            "anchor_p50_ms": fitted[anchor.NAME].p50_ms,
            "n_unstable_left_out": len(files) - len(blocks),
            "quarantined": absurd,
            "fill": {
                "n_measured": filled.n_measured,
                "n_filled": filled.n_filled,
                "left_out_median_error": round(filled.median_error, 4),
                "left_out_p90_error": round(filled.p90_error, 4),
            },
            "calibration_networks": [
                {
                    "architecture": describe(space, for_fit[i])["decisions"],
                    **timing.as_dict(),
                }
                for i, timing in told.items()
            ],
            "profiled_s": round(time.monotonic() - clock.started, 1),
            "budget_s": budget_s,
        }
        table = replace(table, provenance=provenance, calibration=calibration)
        made.append((table, check_table(space, table, for_check, checked)))
    return made


_ENOUGH = 0.75


def steady(timings: dict[str, Timing], deployment: str, n: int) -> dict[int, Timing]:
    """Of `n` networks those that were measured stably; all where those are few.

    Three in four: a fit of four numbers on the few that a restless machine leaves is worse than one
    on all.
    """
    every = {i: timings[f"{deployment}/{i}"] for i in range(n)}
    stable = {i: timing for i, timing in every.items() if timing.stable}
    return stable if len(stable) >= max(MIN_NETWORKS, _ENOUGH * n) else every


def check_table(
    space: SearchSpace, table: LookupTable, rows: IntArray, timings: dict[str, Timing]
) -> dict[str, Any]:
    """Estimates beside measurements of networks that no fit has seen."""
    precision = table.target.deployment.name
    measured = np.array([timings[f"{precision}/{i}"].p50_ms for i in range(len(rows))])
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
        "n_unstable": sum(not timings[f"{precision}/{i}"].stable for i in range(len(rows))),
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


def measure_networks(
    profiler: Profiler,
    files: dict[int, dict[str, Path]],
    targets: Sequence[Target],
    budget_s: float | None,
    seed: int,
    anchor_file: Path,
) -> dict[str, Timing]:
    """Timings of `deployment/number` and of the anchor."""
    return measure_files(
        profiler, files, targets, NETWORK_PROTOCOL, budget_s, seed, anchor_file=anchor_file
    )


def measure_files(
    profiler: Profiler,
    files: dict[int, dict[str, Path]],
    targets: Sequence[Target],
    protocol: Protocol,
    budget_s: float | None,
    seed: int,
    on_round: Callable[[int, int], None] | None = None,
    *,
    anchor_file: Path | None = None,
) -> dict[str, Timing]:
    """Timings of `deployment/number`: files `{number: {form: path}}` on every target.

    What one runtime runs by the same settings is measured interleaved; ONNX Runtime's files go with
    the anchor.
    """
    groups: dict[tuple[str, str], list[Target]] = {}
    for target in targets:
        same = "" if target.runtime == PLAIN_RUNTIME else target.precision
        groups.setdefault((target.runtime, same), []).append(target)
    if anchor_file is not None:
        groups.setdefault((PLAIN_RUNTIME, ""), [])
    found: dict[str, Timing] = {}
    for (runtime, _), members in groups.items():
        models = {
            f"{t.deployment.name}/{i}": paths[file_key(t)]
            for i, paths in files.items()
            for t in members
        }
        first = members[0] if members else replace(targets[0], runtime=PLAIN_RUNTIME)
        if anchor_file is not None and runtime == PLAIN_RUNTIME:
            models[anchor.NAME] = anchor_file
        share = None if budget_s is None else budget_s * max(1, len(members)) / len(targets)
        found |= profiler.measure(
            models, first, protocol=protocol, budget_s=share, seed=seed, on_round=on_round
        )
    return found
