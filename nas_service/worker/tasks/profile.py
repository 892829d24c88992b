"""Profile a device: its blocks and some whole networks, or a few networks alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lookup_tables.errors import ProfilingFailed
from lookup_tables.profile import Profiler
from lookup_tables.runtimes import runtime_versions
from lookup_tables.table import LookupTable
from lookup_tables.target import Deployment, Target
from nas_service.engine.child import Progress
from nas_service.errors import StepFailed
from nas_service.plugins import PROFILERS, load
from nas_service.space.base import ImageShape, SearchSpace, digest
from nas_service.storage import devices
from nas_service.storage.reopening import reopen_for_device
from nas_service.worker.context import Context, require_this_machine, space_on
from nas_service.worker.remote import AgentProfiler, require_agent
from nas_service.worker.remote_files import require_runtime
from nas_service.worker.tasks.profile_space import (
    N_CALIBRATION,
    N_CALIBRATION_REMOTE,
    N_CHECK,
    N_CHECK_REMOTE,
    profile_space,
)

RUNTIME = "onnxruntime"


def profile_device(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Make a table a target for device `device_id`, space and images; returns their versions."""
    context = Context.from_params(params)
    seed = int(params["seed"])
    with context.database.session() as session:
        device = devices.get_device(session, params["device_id"])
    space = space_on(params["space"], ImageShape(**params["image"]), device)
    targets, profiler = measured_by(context, device, params["job_id"], params["precisions"])
    folder = context.scratch(f"profile-{params['job_id']}")
    try:
        made = profile_space(
            space,
            targets,
            float(params["budget_s"]),
            seed,
            folder,
            report,
            profiler=profiler,
            networks=(N_CALIBRATION, N_CHECK)
            if device.local
            else (N_CALIBRATION_REMOTE, N_CHECK_REMOTE),
            building=lambda: context.building(params),
            widths=params.get("widths", ()),
        )
    except ProfilingFailed as error:
        raise StepFailed(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return store_tables(context, device, targets, made, space, seed)


def store_tables(
    context: Context,
    device: devices.StoredDevice,
    targets: Sequence[Target],
    made: Sequence[tuple[LookupTable, dict[str, Any]]],
    space: SearchSpace,
    seed: int,
) -> dict[str, Any]:
    """Keep a device's tables with their checks, and open the searches that follow it."""
    versions = []
    with context.database.session() as session:
        device = devices.get_device(session, device.id)
        for target, (table, check) in zip(targets, made, strict=True):
            one = devices.add_target(session, device.id, target)
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
        # tables that a search had made for itself open others, not that one again
        again = reopen_for_device(session, context.blobs, device)
    return {"tables": versions, "opened_again": [job.id for job in again]}


def measured_by(
    context: Context, device: devices.StoredDevice, job_id: str, deployments: Sequence[str]
) -> tuple[list[Target], Profiler]:
    """A device's targets of these deployments as it is now, and who measures there.

    Raises:
        Unsupported: the device lacks a runtime, or the anchor's, which tells how fast it is.
    """
    if device.local:
        require_this_machine(device)
        there, point = runtime_versions(), ""
        profiler: Profiler = load(PROFILERS, RUNTIME)()
    else:
        facts = require_agent(context, device)
        there, point = facts["runtimes"], facts["operating_point"]
        profiler = AgentProfiler(context, device, job_id)
    wanted = [Deployment.parse(name) for name in deployments]
    for runtime in (RUNTIME, *(one.runtime for one in wanted)):
        require_runtime(device.name, runtime, there)
    targets = [
        Target(device.name, d.runtime, there[d.runtime], d.precision, operating_point=point)
        for d in wanted
    ]
    return targets, profiler
