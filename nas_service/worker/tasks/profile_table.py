"""A target's table of what was measured for it, and how well it predicts networks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibrate import fit_calibration
from lookup_tables.fill import MIN_MEASURED, FillReport, fill
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.timing import Timing
from lookup_tables.outliers import absurd_entries, replaceable
from lookup_tables.profile import LocalProfiler, Profiler, references_as_dict
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Target
from nas_service.search.cost import CostModel
from nas_service.search.quantities.base import Priced
from nas_service.space.base import IntArray, SearchSpace, describe
from nas_service.worker.tasks.profile_files import Clock, file_key
from nas_service.worker.tasks.profile_plan import ProfilePlan
from nas_service.worker.tasks.profile_ratios import ratios_of
from nas_service.worker.tasks.profile_timings import (
    BLOCK_PROTOCOL,
    BLOCKS,
    CHECK,
    FIT,
    NETWORK_PROTOCOL,
    Files,
    steady,
)
from predictors.quality import spearman


def table_of(
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
    blocks = entries_of(plan.blocks, measured_blocks)
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


def entries_of(blocks: Sequence[Block], timings: dict[int, Timing]) -> list[Entry]:
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
