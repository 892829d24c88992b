"""Devices, their targets and their lookup tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lookup_tables import files
from lookup_tables.table import LookupTable
from lookup_tables.target import Device, Target
from nas_service.errors import Conflict, NotFound
from nas_service.lineage import lineage
from nas_service.queues import THIS_MACHINE, agent_queue, machine_queue
from nas_service.storage.blobs import BlobStore
from nas_service.storage.models.devices import DeviceRow, TableRow, TargetRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.session import new_id, now


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A registered device; `local` where workers on it measure, and no agent."""

    id: str
    name: str
    facts: dict[str, Any]
    local: bool
    lineage: dict[str, Any]
    created_at: datetime

    @property
    def machine(self) -> str | None:
        """The name of the machine whose workers measure on it; None where an agent does."""
        return str(self.facts.get("machine", THIS_MACHINE)) if self.local else None

    @property
    def queue(self) -> str:
        """The queue of what is measured on it."""
        return agent_queue(self.id) if self.machine is None else machine_queue(self.machine)


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """A registered target."""

    id: str
    device_id: str
    key: str
    precision: str
    facts: dict[str, Any]
    created_at: datetime

    @property
    def value(self) -> Target:
        """The target itself."""
        return Target(**self.facts)


@dataclass(frozen=True, slots=True)
class StoredTable:
    """What is known of a lookup table besides its entries."""

    id: str
    target_id: str
    version: str
    sha256: str
    n_entries: int
    n_measured: int
    spaces: list[Any]
    provenance: dict[str, Any]
    calibration: dict[str, Any] | None
    ratios: dict[str, Any] | None
    latency_check: dict[str, Any] | None
    lineage: dict[str, Any]
    created_at: datetime
    used_from: datetime | None
    retired_at: datetime | None

    @property
    def in_use_since(self) -> tuple[datetime, str]:
        """What orders a target's tables: the last one is current."""
        return self.used_from or self.created_at, self.id


def add_device(session: Session, device: Device, *, machine: str | None = None) -> StoredDevice:
    """Register a device, of `machine` where its workers measure; a taken name is a `Conflict`."""
    row = DeviceRow(
        id=new_id("dev"),
        name=device.name,
        facts=device.as_dict() | ({} if machine is None else {"machine": machine}),
        local=machine is not None,
        lineage=lineage(),
        created_at=now(),
    )
    if not insert_once(session, row):
        raise Conflict(f"a device named {device.name!r} is there already", field="name")
    return value_of(StoredDevice, row)


def set_labels(session: Session, device_id: str, labels: dict[str, str]) -> StoredDevice:
    """Give a device these labels; what its machine says of itself stays."""
    row = session.get_one(DeviceRow, device_id)
    known = row.facts.get("labels", {})
    said = {name: known[name] for name in ("machine", "system") if name in known}
    row.facts = {**row.facts, "labels": {**said, **labels}}
    session.flush()
    return value_of(StoredDevice, row)


def get_device(session: Session, name_or_id: str) -> StoredDevice:
    """The device of that name or id; `NotFound` lists the known names."""
    query = select(DeviceRow).where((DeviceRow.name == name_or_id) | (DeviceRow.id == name_or_id))
    row = session.scalar(query)
    if row is None:
        known = sorted(session.scalars(select(DeviceRow.name)))
        raise NotFound(
            f"no device {name_or_id!r}; known: {', '.join(known) or 'none'}",
            field="device",
            known_names=known,
        )
    return value_of(StoredDevice, row)


def note_fact(session: Session, device_id: str, name: str, value: Any) -> None:
    """Note what was found out about a device."""
    row = session.get_one(DeviceRow, device_id)
    row.facts = {**row.facts, name: value}


_MOST_CHECKS = 200
"""Drift checks that are kept with a device: half a year of one a day."""


def note_drift(session: Session, device_id: str, check: Mapping[str, Any]) -> None:
    """Note what a drift check came to, beside the ones before it."""
    row = session.get_one(DeviceRow, device_id)
    before = row.facts.get("drift_checks") or []
    checks = [*before, dict(check)][-_MOST_CHECKS:]
    row.facts = {**row.facts, "drift": dict(check), "drift_checks": checks}


def list_devices(session: Session, *, cursor: str | None, limit: int) -> Page[StoredDevice]:
    """Devices, newest first."""
    return page_of(
        session,
        select(DeviceRow),
        DeviceRow.id,
        lambda row: value_of(StoredDevice, row),
        cursor=cursor,
        limit=limit,
    )


def every_device(session: Session) -> list[StoredDevice]:
    """All devices, oldest first."""
    rows = session.scalars(select(DeviceRow).order_by(DeviceRow.id))
    return [value_of(StoredDevice, row) for row in rows]


def add_target(session: Session, device_id: str, target: Target) -> StoredTarget:
    """Register a target, or give back the one that is there."""
    row = TargetRow(
        id=new_id("tgt"),
        device_id=device_id,
        key=target.key,
        precision=target.precision,
        facts=target.as_dict(),
        lineage=lineage(device=target.device),
        created_at=now(),
    )
    insert_once(session, row)
    found = session.scalar(select(TargetRow).where(TargetRow.key == target.key))
    assert found is not None
    return value_of(StoredTarget, found)


def get_target(session: Session, target_id: str) -> StoredTarget:
    """The target of that id."""
    row = session.get(TargetRow, target_id)
    if row is None:
        raise NotFound(f"no target {target_id!r}")
    return value_of(StoredTarget, row)


def targets_of(session: Session, device_id: str) -> list[StoredTarget]:
    """A device's targets, oldest first."""
    query = select(TargetRow).where(TargetRow.device_id == device_id).order_by(TargetRow.id)
    return [value_of(StoredTarget, row) for row in session.scalars(query)]


def list_targets(session: Session, *, cursor: str | None, limit: int) -> Page[StoredTarget]:
    """Targets, newest first."""
    return page_of(
        session,
        select(TargetRow),
        TargetRow.id,
        lambda row: value_of(StoredTarget, row),
        cursor=cursor,
        limit=limit,
    )


def add_table(
    session: Session,
    blobs: BlobStore,
    table: LookupTable,
    target_id: str,
    *,
    spaces: list[str],
    latency_check: dict[str, Any] | None = None,
    seed: int | None = None,
) -> StoredTable:
    """Store a table; the same content for the same target is stored once, and is the current one.

    A table that was taken out of use is back in use when it comes again.
    """
    sha256 = blobs.put_bytes(files.dump(table).encode())
    row = TableRow(
        id=new_id("tab"),
        target_id=target_id,
        version=table.version,
        sha256=sha256,
        n_entries=len(table.entries),
        n_measured=table.n_measured,
        spaces=spaces,
        provenance=dict(table.provenance),
        calibration=None if table.calibration is None else table.calibration.as_dict(),
        ratios={name: one.as_dict() for name, one in table.ratios.items()},
        latency_check=latency_check,
        lineage=lineage(seed=seed, table=table.version),
        created_at=now(),
    )
    new = insert_once(session, row)
    query = select(TableRow).where(
        TableRow.target_id == target_id, TableRow.version == table.version
    )
    stored = session.scalars(query).one()
    if not new:
        stored.used_from, stored.retired_at = now(), None
        session.flush()
    return value_of(StoredTable, stored)


def retire_table(session: Session, table_id: str) -> StoredTable:
    """Take a table out of use: no further search is priced by it."""
    return _set_use(session, table_id, used=False)


def use_table(session: Session, table_id: str) -> StoredTable:
    """Make a table the current one of its target."""
    return _set_use(session, table_id, used=True)


def _set_use(session: Session, table_id: str, *, used: bool) -> StoredTable:
    row = session.get_one(TableRow, get_table(session, table_id).id)
    if used:
        row.used_from, row.retired_at = now(), None
    else:
        row.retired_at = now()
    session.flush()
    return value_of(StoredTable, row)


def get_table(session: Session, table_id: str) -> StoredTable:
    """The table of that id or version."""
    query = select(TableRow).where((TableRow.id == table_id) | (TableRow.version == table_id))
    row = session.scalars(query.order_by(TableRow.id.desc())).first()
    if row is None:
        raise NotFound(f"no lookup table {table_id!r}")
    return value_of(StoredTable, row)


def list_tables(
    session: Session, *, target_id: str | None = None, cursor: str | None, limit: int
) -> Page[StoredTable]:
    """Lookup tables, newest first."""
    query = select(TableRow)
    if target_id is not None:
        query = query.where(TableRow.target_id == target_id)
    return page_of(
        session,
        query,
        TableRow.id,
        lambda row: value_of(StoredTable, row),
        cursor=cursor,
        limit=limit,
    )


def tables_of_target(session: Session, target_id: str) -> list[StoredTable]:
    """The tables of a target that are in use, the current one first."""
    query = select(TableRow).where(TableRow.target_id == target_id, TableRow.retired_at.is_(None))
    found = [value_of(StoredTable, row) for row in session.scalars(query)]
    return sorted(found, key=lambda table: table.in_use_since, reverse=True)


def load_table(blobs: BlobStore, stored: StoredTable) -> LookupTable:
    """The table itself."""
    with blobs.open(stored.sha256) as stream:
        return files.parse(stream.read().decode())
