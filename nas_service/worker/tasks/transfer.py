"""Tables of a device of which a few whole networks are measured, and nothing else."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.measuring.timing import Timing
from lookup_tables.profile import Profiler, references_as_dict
from lookup_tables.table import LookupTable
from lookup_tables.target import Deployment, Target
from lookup_tables.transfer_table import TransferredTable, transfer_table
from nas_service.engine.child import Progress
from nas_service.errors import StepFailed
from nas_service.jobs.params import ProfileJob
from nas_service.learning.registry import required_sample
from nas_service.search.cost import CostModel, all_blocks, block_counts
from nas_service.space.base import IntArray, SearchSpace, describe
from nas_service.space.sampling import distinct
from nas_service.storage import devices
from nas_service.storage.devices import StoredDevice
from nas_service.storage.reopening import covering
from nas_service.worker.context import Context, space_on
from nas_service.worker.devices.reach import device_of
from nas_service.worker.tasks.profile import keep_references, store_tables
from nas_service.worker.tasks.profile_files import network_files
from nas_service.worker.tasks.profile_table import check_table, steadiness_of
from nas_service.worker.tasks.profile_timings import (
    CHECK,
    FIT,
    NETWORK_PROTOCOL,
    measure_files,
    steady,
)

N_ESTIMATED = 400
"""Networks that blocks' costs are drawn from, the measured ones among them."""


N_CHECK = 7
"""Networks that are measured beside, to check the tables on."""


def transfer_device(context: Context, job: ProfileJob, report: Progress) -> None:
    """Measure `networks` networks on device `device_id`; the rest comes from other devices' tables.

    `N_CHECK` more are measured to check the tables on.
    """
    seed, k = job.seed, job.networks or 0
    with context.database.session() as session:
        device = devices.get_device(session, job.device_id)
    space = space_on(context, job.space, required_sample(job.sample), device)
    there = device_of(context, device)
    targets, profiler = there.targets(job.precisions), there.profiler(relearn=True)
    rows = distinct(space, N_ESTIMATED, np.random.default_rng([seed, 13]))
    rows[0] = space.smallest()
    folder = context.scratch(f"transfer-{context.job_id}")
    started = time.monotonic()
    try:
        measured = _measured(
            context, job, space, rows[: k + N_CHECK], targets, folder, report, profiler, k
        )
        report(0.9, "pricing blocks")
        made = []
        for target in targets:
            references = _references(context, device, space, target.deployment)
            name = target.deployment.name
            fit = {i: measured[f"{FIT}/{name}/{i}"] for i in range(k)}
            check = {i: measured[f"{CHECK}/{name}/{i}"] for i in range(k, k + N_CHECK)}
            chosen = steady(fit)
            found = _table_of(space, target, rows, chosen, references)
            state = {
                "transfer": {
                    **found.table.provenance["transfer"],
                    "n_unstable_left_out": k - len(chosen),
                },
                "references": references_as_dict(profiler.references),
                "steadiness": steadiness_of([*fit.values(), *check.values()], profiler.steadiness),
            }
            table = _with_provenance(found.table, space, rows, chosen, state, started)
            made.append((table, check_table(space, table, rows, check)))
    except LookupTableError as error:
        raise StepFailed(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    keep_references(context, device.id, profiler)
    store_tables(context, device, targets, made, space, seed)


def _measured(
    context: Context,
    job: ProfileJob,
    space: SearchSpace,
    rows: IntArray,
    targets: list[Target],
    folder: Path,
    report: Progress,
    profiler: Profiler,
    k: int,
) -> dict[str, Timing]:
    with context.building():
        files = network_files(
            space, rows, targets, folder / "networks", report, (0.0, 0.5), None, len(rows)
        )
    what = f"measuring {len(files)} networks"
    report(0.5, what)
    groups = {
        FIT: {i: paths for i, paths in files.items() if i < k},
        CHECK: {i: paths for i, paths in files.items() if i >= k},
    }

    def on_progress(fraction: float, note: str) -> None:
        report(0.5 + 0.4 * fraction, f"{what}: {note}" if note else what)

    return measure_files(profiler, groups, targets, None, job.seed, on_progress=on_progress)


def _references(
    context: Context, device: StoredDevice, space: SearchSpace, wanted: Deployment
) -> list[LookupTable]:
    """Newest tables that hold every block of the space: other devices', and the device's own.

    Of other devices those of the same deployment, of the device itself those of all others: what
    another runtime takes there says much of what this one will.
    """
    found = []
    with context.database.session() as session:
        for other in devices.every_device(session):
            others = [replace(wanted, recipe="")]
            if other.id == device.id:
                own = devices.targets_of(session, device.id)
                others = sorted({one.value.deployment for one in own} - {*others}, key=str)
            chosen, _ = covering(session, context.blobs, other.id, space, others)
            for version in dict.fromkeys(chosen.values()):
                stored = devices.get_table(session, version)
                found.append(devices.load_table(context.blobs, stored))
    return found


def _table_of(
    space: SearchSpace,
    target: Target,
    rows: IntArray,
    measured: dict[int, Timing],
    references: list[LookupTable],
) -> TransferredTable:
    blocks = all_blocks(space)
    there = [CostModel(space, one, one.calibration).latency_ms(rows) for one in references]
    return transfer_table(
        target,
        blocks,
        block_counts(space, rows),
        np.array(list(measured)),
        np.array([timing.p50_ms for timing in measured.values()]),
        references=references,
        reference_ms=np.array(there).reshape(len(references), len(rows)).T,
    )


def _with_provenance(
    table: LookupTable,
    space: SearchSpace,
    rows: IntArray,
    measured: dict[int, Timing],
    state: dict[str, Any],
    started: float,
) -> LookupTable:
    """The table, told how it came to be."""
    told = {
        **table.provenance,
        "space": space.name,
        space.sample.name: space.sample.as_dict(),
        "protocol": {"networks": NETWORK_PROTOCOL.as_dict()},
        "threads": table.target.threads,
        "runtime": f"{table.target.runtime} {table.target.runtime_version}",
        **state,
        "calibration_networks": [
            {"architecture": describe(space, rows[i])["decisions"], **timing.as_dict()}
            for i, timing in measured.items()
        ],
        "profiled_s": round(time.monotonic() - started, 1),
    }
    return LookupTable(table.target, table.entries, told, table.calibration)
