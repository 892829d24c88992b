"""Opens searches again: for devices they follow, and by the clock. Each reason counts once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from croniter import CroniterError, croniter
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lookup_tables.fill import can_fill
from lookup_tables.table import ROOFLINE
from lookup_tables.target import PLAIN_RUNTIME, Deployment
from nas_service.compression.searched import shipped_as
from nas_service.errors import Conflict, InvalidSpec, MissingBlocks, NotFound
from nas_service.jobs.params import SearchJob
from nas_service.search.cost import CostModel, all_blocks
from nas_service.search.reopen import is_followed, reopened
from nas_service.space.base import SearchSpace
from nas_service.space.supported import supported
from nas_service.storage import agents, datasets, devices, jobs, searches
from nas_service.storage.blobs import BlobStore
from nas_service.storage.devices import StoredDevice, StoredTable
from nas_service.storage.jobs import Job
from nas_service.storage.models.devices import DeviceRow
from nas_service.storage.models.events import ScheduleRow
from nas_service.storage.rows import Page, page_of, value_of
from nas_service.storage.scope import Scope
from nas_service.storage.searches import StoredSearch
from nas_service.storage.session import new_id, now
from nas_service.storage.spaces import open_space


@dataclass(frozen=True, slots=True)
class Schedule:
    """A search that is opened again at times that `cron` tells, in UTC."""

    id: str
    search_id: str
    cron: str
    next_at: datetime
    created_at: datetime


def covering(
    session: Session,
    blobs: BlobStore,
    device_id: str,
    space: SearchSpace,
    deployments: Sequence[Deployment],
    *,
    runtimes: Mapping[str, str] | None = None,
) -> tuple[dict[Deployment, str], MissingBlocks | None]:
    """The newest table (its version) of each deployment that covers the space; what lacks blocks.

    With `runtimes`, those that the device has now with their versions, tables of others do not
    count: files could not be compiled, or would be measured on something else.
    """
    chosen: dict[Deployment, str] = {}
    problem: MissingBlocks | None = None
    for deployment, shipped in zip(deployments, shipped_as(space, deployments), strict=True):
        tables = _tables_in(session, device_id, deployment, runtimes)
        # a calibrated table, even an older one, knows what its limits are held against
        for stored in sorted(tables, key=lambda table: table.calibration is None):
            table = devices.load_table(blobs, stored)
            try:
                CostModel(space, table, None)
                if shipped is not space and not can_fill(table, all_blocks(shipped)):
                    CostModel(shipped, table, None)
            except MissingBlocks as error:
                problem = problem or error
                continue
            chosen[deployment] = stored.version
            break
    return chosen, problem


def _tables_in(
    session: Session, device_id: str, wanted: Deployment, runtimes: Mapping[str, str] | None
) -> list[StoredTable]:
    """A device's tables for a deployment, over all its targets, newest first.

    A precision alone means ONNX Runtime, or a roofline; where a device has neither, whatever
    runtime it has tables of.
    """
    own: list[StoredTable] = []
    others: list[StoredTable] = []
    for target in devices.targets_of(session, device_id):
        value = target.value
        there = runtimes is None or runtimes.get(value.runtime) == value.runtime_version
        if value.precision != wanted.precision or not there:
            continue
        matches = value.runtime == wanted.runtime or (
            wanted.runtime == PLAIN_RUNTIME and value.runtime == ROOFLINE
        )
        (own if matches else others).extend(devices.tables_of_target(session, target.id))
    found = own or (others if wanted.runtime == PLAIN_RUNTIME else [])
    return sorted(found, key=lambda table: table.in_use_since, reverse=True)


def newest_tables(
    session: Session,
    device_id: str,
    *,
    runtimes: Mapping[str, str] | None = None,
    calibrated: bool = True,
) -> list[StoredTable]:
    """The newest table of each deployment of a device, a `calibrated` one; see `covering`."""
    found = []
    targets = devices.targets_of(session, device_id)
    for one in sorted({target.value.deployment for target in targets}, key=str):
        tables = _tables_in(session, device_id, one, runtimes)
        found += [one for one in tables if one.calibration is not None or not calibrated][:1]
    return found


def reopen_for_device(
    session: Session,
    blobs: BlobStore,
    device: StoredDevice,
    *,
    unprofiled: bool = False,
    only: str | None = None,
) -> list[Job]:
    """Open again every finished search that follows this device and can be priced on it.

    The same tables open a search once; `only` names one search. With `unprofiled`, a device whose
    agent was just heard for the first time, searches open without tables: they have it profiled.
    """
    made = []
    labels = {**device.facts.get("labels", {}), "kind": str(device.facts.get("kind", ""))}
    for search in searches.followers(session):
        spec = search.value
        if only is not None and search.id != only:
            continue
        if not is_followed(spec.follows, device.name, labels):
            continue
        dataset = datasets.get_dataset(session, search.dataset_id)
        every = open_space(session, blobs, spec.space, dataset.sample)
        try:
            space = supported(every, device.facts.get("unsupported_operators", ()))
        except InvalidSpec:
            continue  # nothing of the space runs there
        chosen, _ = covering(session, blobs, device.id, space, spec.deployments)
        complete = len(chosen) == len(spec.deployments) and not unprofiled
        earlier = [
            one
            for one in (search, *searches.opened_again_from(session, search.id))
            if one.device_id == device.id
        ]
        if any(one.state not in searches.FINAL for one in earlier):
            continue  # one is at work for this device, maybe with these very tables
        if complete:
            versions = _measured(session, [chosen[p] for p in spec.deployments])
            known = [_measured(session, one.facts.tables) for one in earlier]
            if versions in known:
                continue
            why = "+".join(versions)
        elif unprofiled:
            why = "first"
        else:
            continue
        job = open_again(session, search, device, f"{device.id}:{why}")
        if job is not None:
            made.append(job)
    return made


def _measured(session: Session, versions: Sequence[str]) -> list[str]:
    """Tables as they were measured: a search that only corrected a calibration changed nothing."""
    return [_origin(session, devices.get_table(session, one)).version for one in versions]


def _origin(session: Session, table: StoredTable) -> StoredTable:
    while before := table.provenance.get("recalibrated", {}).get("from"):
        table = devices.get_table(session, before)
    return table


def catch_up(session: Session, blobs: BlobStore, search: StoredSearch) -> list[Job]:
    """What a search that has just ended missed while it ran.

    It is opened again for devices that it follows and that came or changed meanwhile. One that was
    itself opened again looks whether its own device has changed since.
    """
    made = []
    if search.reopens is not None:
        own = devices.get_device(session, search.device_id)
        return reopen_for_device(session, blobs, own, only=search.reopens)
    if not search.value.follows:
        return []
    for row in session.scalars(select(DeviceRow).order_by(DeviceRow.id)).all():
        device = value_of(StoredDevice, row)
        agent = agents.get_agent(session, device.id)
        fresh = newest_tables(session, device.id)
        tabled = any(_origin(session, one).created_at > search.created_at for one in fresh)
        heard = agent is not None and bool(agent.facts) and device.created_at > search.created_at
        if device.id != search.device_id and (tabled or heard):
            made += reopen_for_device(
                session, blobs, device, unprofiled=heard and not fresh, only=search.id
            )
    return made


def open_again(
    session: Session,
    search: StoredSearch,
    device: StoredDevice,
    reason: str,
    *,
    n_queries: int | None = None,
) -> Job | None:
    """A new search that answers the same question on a device; None where it was opened before.

    It spends `n_queries`, a quarter of the search's own unless given.
    """
    spec = reopened(search.value, device.name)
    if n_queries is not None:
        spec = replace(spec, n_queries=n_queries)
    digest = hashlib.sha256(f"{search.id}:{reason}".encode()).hexdigest()[:24]
    search_id = f"sea_again_{digest}"
    try:
        searches.add_search(
            session,
            spec,
            device_id=device.id,
            dataset_id=search.dataset_id,
            data_digest=search.lineage.get("data"),
            search_id=search_id,
            reopens=search.id,
            reason=reason,
        )
    except Conflict:
        return None
    params = SearchJob(search_id=search_id).as_dict()
    return jobs.add_job(
        session,
        search_id,
        "search",
        subject=search_id,
        params=params,
        priority=jobs.priority_of(session, search.id),
    )


def add_schedule(session: Session, search_id: str, cron: str) -> Schedule:
    """Have a search opened again by the clock; `cron` has five fields, in UTC."""
    searches.get_search(session, search_id)
    _require_times(cron)
    row = ScheduleRow(
        id=new_id("sch"),
        search_id=search_id,
        cron=cron,
        next_at=_after(cron, now()),
        created_at=now(),
    )
    session.add(row)
    session.flush()
    return value_of(Schedule, row)


def set_cron(session: Session, schedule_id: str, cron: str) -> Schedule:
    """Have a schedule come at other times."""
    _require_times(cron)
    row = _schedule(session, schedule_id)
    row.cron, row.next_at = cron, _after(cron, now())
    session.flush()
    return value_of(Schedule, row)


def _require_times(cron: str) -> None:
    fields = cron.upper().split()
    random = any(field.startswith(("R", "H")) for field in fields)  # another time each time
    if len(fields) != 5 or random or not croniter.is_valid(cron):
        raise InvalidSpec(f"cron: {cron!r} is not minute hour day month weekday", field="cron")


def list_schedules(session: Session, *, cursor: str | None, limit: int) -> Page[Schedule]:
    """Schedules, newest first."""
    return page_of(
        session,
        select(ScheduleRow),
        ScheduleRow.id,
        lambda row: value_of(Schedule, row),
        cursor=cursor,
        limit=limit,
    )


def get_schedule(session: Session, schedule_id: str) -> Schedule:
    """The schedule of that id."""
    return value_of(Schedule, _schedule(session, schedule_id))


def remove_schedule(session: Session, schedule_id: str) -> None:
    """End a schedule."""
    session.delete(_schedule(session, schedule_id))


def _schedule(session: Session, schedule_id: str) -> ScheduleRow:
    row = session.get(ScheduleRow, schedule_id)
    if row is None:
        raise NotFound(f"no schedule {schedule_id!r}")
    return row


def due_schedules(session: Session, at: datetime) -> list[tuple[str, Scope]]:
    """Schedules whose time has come, and the scopes that they open searches in."""
    query = select(ScheduleRow.id, ScheduleRow.project_id).where(ScheduleRow.next_at <= at)
    return [(row[0], Scope(row[1])) for row in session.execute(query)]


def open_due(session: Session, schedule_id: str, at: datetime) -> Job | None:
    """Open the search of a schedule whose time has come; one slept through counts once.

    The time is taken by whoever moves it on, so that many workers open one search.
    """
    row = session.get(ScheduleRow, schedule_id)
    if row is None or row.next_at > at:
        return None
    due = row.next_at
    moved = session.execute(
        update(ScheduleRow)
        .where(ScheduleRow.id == row.id, ScheduleRow.next_at == due)
        .values(next_at=_after(row.cron, at))
        .returning(ScheduleRow.id)
    )
    if moved.first() is None:
        return None
    search = searches.get_search(session, row.search_id)
    device = devices.get_device(session, search.device_id)
    return open_again(session, search, device, f"{row.id}:{due.isoformat()}")


def _after(cron: str, at: datetime) -> datetime:
    try:
        found: datetime = croniter(cron, at).get_next(datetime)
    except CroniterError as error:
        raise InvalidSpec(f"cron: {cron!r} never comes: {error}", field="cron") from error
    return found
