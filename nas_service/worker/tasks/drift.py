"""Measure again a few networks that a device's tables were calibrated on: has it moved?"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.drift import MAX_PROBES, MIN_PROBES, Drift, drift
from lookup_tables.measuring.machine import LEAST_SHARE
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import Profiler
from lookup_tables.target import Target
from nas_service.engine.child import Progress
from nas_service.errors import InvalidSpec
from nas_service.jobs.params import DriftJob
from nas_service.jobs.results import DriftFound, Profiling
from nas_service.learning.registry import required_sample, sample_in
from nas_service.space.base import IntArray, SearchSpace, parse
from nas_service.storage import certified, devices, webhooks
from nas_service.storage.devices import StoredTable
from nas_service.storage.reopening import newest_tables
from nas_service.storage.session import now
from nas_service.worker.context import Context, make_space
from nas_service.worker.devices.reach import device_of
from nas_service.worker.tasks.profile_files import file_key, network_files
from nas_service.worker.tasks.profile_timings import NETWORK_PROTOCOL

SESSIONS = 2
"""A device has moved only if it has in so many sessions."""
ATTEMPTS = 4
"""Sessions that are taken at most: each waits for the reference state by itself."""


def check_drift(context: Context, job: DriftJob, report: Progress) -> DriftFound:
    """Compare device `device_id` with its newest calibrated tables.

    Where it has moved, its certificates go stale and those who asked are told; gives what to
    profile it with anew.
    """
    with context.database.session() as session:
        device = devices.get_device(session, job.device_id)
    reached = device_of(context, device)
    there = reached.searched_runtimes()  # another runtime is no drift: its tables are others
    with context.database.session() as session:
        tables = newest_tables(session, device.id, runtimes=there)
    usable = [one for one in tables if _probes(one)]
    if not usable:
        raise InvalidSpec(
            f"device {device.name!r} has no table that tells which networks it was calibrated on; "
            "profile it first",
            field="device",
        )
    folder = context.scratch(f"drift-{context.job_id}")
    reached.require()
    profiler = reached.profiler()
    found: dict[str, Any] = {}
    moved: list[tuple[StoredTable, str]] = []
    for number, table in enumerate(usable):
        with context.database.session() as session:
            target = devices.get_target(session, table.target_id).value
        span = (number / len(usable), (number + 0.5) / len(usable))
        models, then = _models(context, table, target, folder, report, span)
        told = _compare(profiler, models, target, then, job.seed, NETWORK_PROTOCOL)
        if told is None:
            gone = _gone(profiler)
            if gone:
                moved.append((table, f"the device was {gone}"))
            found[target.key] = {
                "moved": True if gone else None,
                "reason": gone or "too few stable measurements",
            }
            continue
        found[target.key] = {**told.as_dict(), "table": table.version}
        if told.moved:
            way = "slower" if told.shift > 0 else "faster"
            moved.append(
                (table, f"the device is {abs(told.shift):.1%} {way} than table {table.version}")
            )
    shutil.rmtree(folder, ignore_errors=True)
    checked_at = now().isoformat(timespec="seconds")
    with context.database.session() as session:
        devices.note_drift(session, device.id, {"checked_at": checked_at, "targets": found})
        for table, reason in moved:
            certified.make_stale(session, table.target_id, f"drift: {reason}")
        if moved:
            body = {"device": device.name, "targets": found, "checked_at": checked_at}
            webhooks.announce(session, "device.drifted", context.job_id, body)
    return DriftFound(moved=bool(moved), profile=profiled_anew(context, usable))


def _models(
    context: Context,
    table: StoredTable,
    target: Target,
    folder: Path,
    report: Progress,
    span: tuple[float, float],
) -> tuple[dict[str, Path], np.ndarray[Any, Any]]:
    """Some of the networks that a table was calibrated on, and what they took then `(n,)`."""
    space = make_space(context, table.provenance["space"], required_sample(table.provenance))
    rows, then = _chosen(space, table)
    below = folder / target.deployment.name.replace(":", "-")
    with context.building():
        files = network_files(space, rows, [target], below, report, span, None, len(rows))
    return {str(i): files[i][file_key(target)] for i in files}, then


def _compare(
    profiler: Profiler,
    models: dict[str, Path],
    target: Target,
    then: np.ndarray[Any, Any],
    seed: int,
    protocol: Protocol = NETWORK_PROTOCOL,
) -> Drift | None:
    """What `SESSIONS` sessions agree on; None where the reference state was seen too little for it.

    A session with too few stable measurements says nothing and is taken again.
    """
    agreed = 0
    for attempt in range(ATTEMPTS):
        timings: dict[str, Timing] = profiler.measure(
            models, target, protocol=protocol, seed=seed + attempt
        )
        steady = [i for i in range(len(then)) if timings[str(i)].stable]
        if len(steady) < MIN_PROBES:
            continue
        told = drift(then[steady], np.array([timings[str(i)].p50_ms for i in steady]))
        agreed += 1
        if not told.moved or agreed == SESSIONS:
            return told
    return None


def _gone(profiler: Profiler) -> str:
    """Why the device has moved where it is not seen in its reference state; empty where it is."""
    steadiness = profiler.steadiness
    if steadiness is None or steadiness.state_share >= LEAST_SHARE:
        return ""
    why = steadiness.reference.doubt or "it has gone"
    return f"seen in its reference state {steadiness.state_share:.0%} of the time: {why}"


def profiled_anew(context: Context, tables: Sequence[StoredTable]) -> list[Profiling]:
    """What to profile a device with so that each of its tables is made again, as it was made."""
    wanted: dict[str, tuple[Profiling, set[str]]] = {}
    for table in tables:
        with context.database.session() as session:
            one = devices.get_target(session, table.target_id).value.deployment
        sample = required_sample(table.provenance)
        transfer = table.provenance.get("transfer")  # of whole networks alone
        asked = Profiling(
            space=table.provenance["space"],
            sample={sample.name: sample.as_dict()},
            networks=None if transfer is None else _n_asked(transfer),
        )
        _, precisions = wanted.setdefault(asked.model_dump_json(), (asked, set()))
        precisions.add(one.name)
    return [
        asked.model_copy(update={"precisions": sorted(precisions)})
        for asked, precisions in wanted.values()
    ]


def _n_asked(transfer: dict[str, Any]) -> int:
    """Networks that were measured: a table made again is not made from fewer and fewer."""
    return int(transfer["n_networks"]) + int(transfer.get("n_unstable_left_out", 0))


def _probes(table: StoredTable) -> list[dict[str, Any]]:
    networks: list[dict[str, Any]] = table.provenance.get("calibration_networks") or []
    return networks if len(networks) >= MIN_PROBES and sample_in(table.provenance) else []


def _chosen(space: SearchSpace, table: StoredTable) -> tuple[IntArray, np.ndarray[Any, Any]]:
    """Up to ten of the table's networks, evenly over their latencies, and what they took."""
    networks = sorted(_probes(table), key=lambda one: float(one["p50_ms"]))
    places = np.unique(np.linspace(0, len(networks) - 1, MAX_PROBES).round().astype(int))
    picked = [networks[i] for i in places]
    rows = np.array([parse(space, one["architecture"]) for one in picked], dtype=np.int64)
    return rows, np.array([float(one["p50_ms"]) for one in picked])
