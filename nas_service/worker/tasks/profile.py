"""Profile a device: its blocks and some whole networks, or a few networks alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lookup_tables.errors import ProfilingFailed
from lookup_tables.profile import Profiler, references_as_dict, references_from
from lookup_tables.runtimes.registry import state_of
from lookup_tables.table import LookupTable
from lookup_tables.target import Target
from nas_service.engine.child import Progress
from nas_service.errors import StepFailed
from nas_service.jobs.params import ProfileJob
from nas_service.learning.registry import required_sample
from nas_service.space.base import SearchSpace, digest
from nas_service.storage import certified, devices
from nas_service.storage.reopening import reopen_for_device
from nas_service.worker.context import Context, space_on
from nas_service.worker.devices.reach import device_of
from nas_service.worker.tasks.profile_space import profile_space

_MOVED = "the device's reference state was learned again: it is another one now"


def profile_device(context: Context, job: ProfileJob, report: Progress) -> None:
    """Make a table a target for device `device_id` and a space."""
    seed = job.seed
    with context.database.session() as session:
        device = devices.get_device(session, job.device_id)
    space = space_on(context, job.space, required_sample(job.sample), device)
    there = device_of(context, device)
    targets, profiler = there.targets(job.precisions), there.profiler(relearn=True)
    folder = context.scratch(f"profile-{context.job_id}")
    try:
        made = profile_space(
            space,
            targets,
            job.budget_s,
            seed,
            folder,
            report,
            profiler=profiler,
            networks=there.n_networks,
            building=lambda: context.building(),
            widths=job.widths,
        )
    except ProfilingFailed as error:
        raise StepFailed(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    keep_references(context, device.id, profiler)
    store_tables(context, device, targets, made, space, seed)


def keep_references(context: Context, device_id: str, profiler: Profiler) -> None:
    """Keep with a device the states that its measurements hold in.

    Where a state is another one than before, certificates that hold in the old one go stale.
    """
    known = profiler.references
    if not known:
        return
    with context.database.session() as session:
        before = references_from(devices.get_device(session, device_id).facts.get("references"))
        devices.note_fact(session, device_id, "references", references_as_dict(known))
        for kind, old in before.items():
            if kind in known and not old.holds({**old.levels_ms, **known[kind].levels_ms}):
                for target in devices.targets_of(session, device_id):
                    if state_of(target.value.runtime) == kind:
                        certified.make_stale(session, target.id, _MOVED)


def store_tables(
    context: Context,
    device: devices.StoredDevice,
    targets: Sequence[Target],
    made: Sequence[tuple[LookupTable, dict[str, Any]]],
    space: SearchSpace,
    seed: int,
) -> None:
    """Keep a device's tables with their checks, and open the searches that follow it."""
    with context.database.session() as session:
        device = devices.get_device(session, device.id)
        for target, (table, check) in zip(targets, made, strict=True):
            one = devices.add_target(session, device.id, target)
            table = replace(table, provenance={**table.provenance, "device_facts": device.facts})
            devices.add_table(
                session,
                context.blobs,
                table,
                one.id,
                spaces=[digest(space)],
                latency_check=check,
                seed=seed,
            )
        # tables that a search had made for itself open others, not that one again
        reopen_for_device(session, context.blobs, device)
