"""Profile a device: blocks, whole networks for calibration, and networks to check it all on."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lookup_tables import anchor
from lookup_tables.blocks import Block
from lookup_tables.calibrate import MIN_NETWORKS, fit_calibration
from lookup_tables.errors import ProfilingFailed
from lookup_tables.fill import MIN_MEASURED, design, fill
from lookup_tables.graphs import block_graph, input_names
from lookup_tables.measure import Protocol, Timing
from lookup_tables.profile import Profiler, onnxruntime_version
from lookup_tables.quantized import quantize, with_integer_borders
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Target
from nas_service.engine.child import Progress
from nas_service.errors import StepFailed
from nas_service.networks.build import build
from nas_service.networks.export import export
from nas_service.plugins import PROFILERS, load
from nas_service.search.cost import CostModel, all_blocks
from nas_service.space.base import ImageShape, IntArray, SearchSpace, describe, digest, input_size
from nas_service.space.sampling import distinct
from nas_service.storage import devices
from nas_service.worker.context import Context, make_space, require_this_machine
from predictors.quality import spearman

MAX_BLOCKS = 240
N_CALIBRATION = 24
N_CHECK = 20
BLOCKS_SHARE, NETWORKS_SHARE = 0.45, 0.9
"""Parts of the budget by which blocks, then calibration networks, are built and measured."""
BLOCK_PROTOCOL = Protocol(rounds=12, warmups=2, repeats=10)
NETWORK_PROTOCOL = Protocol(rounds=16, warmups=2, repeats=10)


@dataclass(frozen=True)
class _Clock:
    """How much of the budget is gone."""

    started: float
    budget_s: float

    def left(self, share: float) -> float:
        """Seconds until this share of the budget is spent; never below a hundredth of it."""
        end = self.started + share * self.budget_s
        return max(end - time.monotonic(), 0.01 * self.budget_s)

    def past(self, share: float) -> bool:
        return time.monotonic() > self.started + share * self.budget_s


def profile_device(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Make a table a target for device `device_id`, space and images; returns their versions."""
    context = Context.from_params(params)
    space = make_space(params["space"], ImageShape(**params["image"]))
    seed = int(params["seed"])
    with context.database.session() as session:
        device = devices.get_device(session, params["device_id"])
        require_this_machine(device)
        version = onnxruntime_version()
        stored = [
            devices.add_target(
                session, device.id, Target(device.name, "onnxruntime", version, precision)
            )
            for precision in params["precisions"]
        ]
    targets = [one.value for one in stored]
    folder = context.scratch(f"profile-{params['job_id']}")
    try:
        made = profile_space(space, targets, float(params["budget_s"]), seed, folder, report)
    except ProfilingFailed as error:
        raise StepFailed(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    versions = []
    with context.database.session() as session:
        for one, (table, check) in zip(stored, made, strict=True):
            table = replace(table, provenance={**table.provenance, "device_facts": device.facts})
            added = devices.add_table(
                session,
                context.blobs,
                table,
                one.id,
                spaces=[digest(space)],
                latency_check=check,
                seed=seed,
            )
            versions.append(added.version)
    return {"tables": versions}


def profile_space(
    space: SearchSpace,
    targets: Sequence[Target],
    budget_s: float,
    seed: int,
    folder: Path,
    report: Progress,
) -> list[tuple[LookupTable, dict[str, Any]]]:
    """A table a target, each with a check on networks that were in no fit."""
    clock = _Clock(time.monotonic(), budget_s)
    profiler: Profiler = load(PROFILERS, targets[0].runtime)()
    everything = all_blocks(space)
    chosen = design(everything, MAX_BLOCKS, seed=seed)
    files = _block_files(chosen, targets, folder, clock, report)
    report(0.25, f"measuring {len(files)} of {len(everything)} blocks")
    timings = profiler.measure(
        {f"{t.precision}/{i}": paths[t.precision] for i, paths in files.items() for t in targets},
        targets[0],
        protocol=BLOCK_PROTOCOL,
        budget_s=clock.left(BLOCKS_SHARE),
        seed=seed,
    )
    generator = np.random.default_rng([seed, 11])
    networks = distinct(space, N_CALIBRATION + N_CHECK, generator)
    for_fit = np.concatenate([space.smallest()[None, :], networks[: N_CALIBRATION - 1]])
    for_check = networks[N_CALIBRATION - 1 : N_CALIBRATION - 1 + N_CHECK]
    fit_files = _network_files(
        space, for_fit, targets, folder / "fit", report, (0.4, 0.6), clock, MIN_NETWORKS
    )
    anchor_file = anchor.write_anchor(folder)
    fitted = _measure_networks(
        profiler, fit_files, targets, clock.left(NETWORKS_SHARE), seed, anchor_file
    )
    check_files = _network_files(
        space, for_check, targets, folder / "check", report, (0.65, 0.85), None, N_CHECK
    )
    report(0.9, f"checking on {len(check_files)} networks")
    checked = _measure_networks(profiler, check_files, targets, None, seed + 1, anchor_file)
    made = []
    for target in targets:
        blocks = _entries(chosen, {i: timings[f"{target.precision}/{i}"] for i in files})
        table, filled = fill(LookupTable(target, tuple(blocks)), everything)
        model = CostModel(space, table, None)
        rows = for_fit[: len(fit_files)]
        measured = np.array([fitted[f"{target.precision}/{i}"].p50_ms for i in range(len(rows))])
        calibration = fit_calibration(model.sums(rows), measured)
        provenance = {
            "space": space.name,
            "image": space.image.as_dict(),
            "protocol": {
                "blocks": BLOCK_PROTOCOL.as_dict(),
                "networks": NETWORK_PROTOCOL.as_dict(),
                "borders": "float32" if target.precision == "fp32" else "uint8",
            },
            "threads": target.threads,
            "runtime": f"{target.runtime} {target.runtime_version}",
            "anchor_p50_ms": fitted[anchor.NAME].p50_ms,
            "n_unstable_left_out": len(files) - len(blocks),
            "fill": {
                "n_measured": filled.n_measured,
                "n_filled": filled.n_filled,
                "left_out_median_error": round(filled.median_error, 4),
                "left_out_p90_error": round(filled.p90_error, 4),
            },
            "calibration_networks": [
                {
                    "architecture": describe(space, row)["decisions"],
                    **fitted[f"{target.precision}/{i}"].as_dict(),
                }
                for i, row in enumerate(rows)
            ],
            "profiled_s": round(time.monotonic() - clock.started, 1),
            "budget_s": budget_s,
        }
        table = replace(table, provenance=provenance, calibration=calibration)
        made.append((table, _check(space, table, for_check, checked)))
    return made


def _check(
    space: SearchSpace, table: LookupTable, rows: IntArray, timings: dict[str, Timing]
) -> dict[str, Any]:
    """Estimates beside measurements of networks that no fit has seen."""
    precision = table.target.precision
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
    )


def _block_files(
    blocks: Sequence[Block],
    targets: Sequence[Target],
    folder: Path,
    clock: _Clock,
    report: Progress,
) -> dict[int, dict[str, Path]]:
    """Graphs of as many blocks as half the blocks' time allows, a file a precision."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    files: dict[int, dict[str, Path]] = {}
    for number, block in enumerate(blocks):
        if clock.past(BLOCKS_SHARE / 2) and number >= 32:
            break
        if number % 20 == 0:
            report(0.25 * number / len(blocks), f"building block {number} of {len(blocks)}")
        plain = folder / f"block{number}.onnx"
        onnx.save(block_graph(block, seed=number), plain)
        files[number] = {"fp32": plain}
        if any(target.precision == "int8" for target in targets):
            shape = (1, block.in_channels, block.height, block.width)
            batches = [
                {n: generator.standard_normal(shape, dtype=np.float32) for n in input_names(block)}
                for _ in range(2)
            ]
            quantised = folder / f"block{number}.int8.onnx"
            quantize(plain, quantised, batches)
            with_integer_borders(quantised)
            files[number]["int8"] = quantised
    return files


def _network_files(
    space: SearchSpace,
    genotypes: IntArray,
    targets: Sequence[Target],
    folder: Path,
    report: Progress,
    between: tuple[float, float],
    clock: _Clock | None,
    at_least: int,
) -> dict[int, dict[str, Path]]:
    """Whole networks with random weights, a file a precision; fewer where time runs out."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    files: dict[int, dict[str, Path]] = {}
    for number, genotype in enumerate(genotypes):
        if clock is not None and number >= at_least and clock.past(NETWORKS_SHARE - 0.1):
            break
        done = number / len(genotypes)
        report(
            between[0] + (between[1] - between[0]) * done,
            f"building network {number + 1} of {len(genotypes)}",
        )
        size = input_size(space, genotype)
        plain = folder / f"network{number}.onnx"
        network = build(space, genotype, seed=number)
        export(network, plain, channels=space.image.channels, size=size)
        files[number] = {"fp32": plain}
        if any(target.precision == "int8" for target in targets):
            shape = (1, space.image.channels, size, size)
            batches = [
                {"input": generator.standard_normal(shape, dtype=np.float32)} for _ in range(4)
            ]
            files[number]["int8"] = folder / f"network{number}.int8.onnx"
            quantize(plain, files[number]["int8"], batches)
    return files


def _measure_networks(
    profiler: Profiler,
    files: dict[int, dict[str, Path]],
    targets: Sequence[Target],
    budget_s: float | None,
    seed: int,
    anchor_file: Path,
) -> dict[str, Timing]:
    models = {
        f"{t.precision}/{i}": paths[t.precision] for i, paths in files.items() for t in targets
    }
    return profiler.measure(
        {**models, anchor.NAME: anchor_file},
        targets[0],
        protocol=NETWORK_PROTOCOL,
        budget_s=budget_s,
        seed=seed,
    )
