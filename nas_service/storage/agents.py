"""Agents of devices and the tasks they take, one agent a task, each until its lease ends."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from nas_service.access.identity import Permission
from nas_service.errors import Conflict, NotFound
from nas_service.lineage import lineage
from nas_service.storage import bell, tokens
from nas_service.storage.devices import StoredDevice
from nas_service.storage.models.devices import AgentRow, DeviceRow, DeviceTaskRow
from nas_service.storage.models.jobs import JobRow
from nas_service.storage.rows import insert_once, value_of
from nas_service.storage.session import now

LEASE_S = 60.0
_AT_ONCE = 500
"""Rows that one statement names."""
MAX_ATTEMPTS = 5
RECORDED = "recorded"
"""What an agent says that it understands: samples by names of inputs, answers by place."""
MAX_ANSWERS_BYTES = 16 * 1024**2
"""Of what is sent back to a task's samples."""
OPEN = ("queued", "leased")


@dataclass(frozen=True, slots=True)
class Agent:
    """Who measures on a device; `seen_at` is None until it was heard for the first time."""

    device_id: str
    facts: dict[str, Any]
    seen_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceTask:
    """Files to time on a device, and what came of it."""

    id: str
    device_id: str
    job_id: str
    payload: dict[str, Any]
    state: str
    attempts: int
    lease: str | None
    fraction: float
    note: str | None
    result: dict[str, Any] | None
    problem: str | None
    created_at: datetime
    finished_at: datetime | None


def make_token(session: Session, device: StoredDevice, created_by: str) -> str:
    """A new token for a device's agent; the one before, if any, is worth nothing from now on."""
    tokens.revoke_tokens_of_device(session, device.id)
    _, secret = tokens.add_token(
        session,
        f"agent of {device.name}",
        [Permission.DEVICE],
        created_by=created_by,
        device_id=device.id,
    )
    insert_once(session, AgentRow(device_id=device.id, facts={}, created_at=now()))
    return secret


def why_unmeasured(session: Session, device: StoredDevice) -> str:
    """Why neither workers nor an agent can measure on a device; empty where they can."""
    if device.machine is not None or get_agent(session, device.id) is not None:
        return ""
    return (
        f"device {device.name!r} has no agent to measure on it: `nas devices token {device.name}` "
        "makes a token for one"
    )


def understands(agent: Agent, what: str) -> bool:
    """Whether an agent can be asked that; one that was never heard of may be."""
    return not agent.facts or what in agent.facts.get("understands", ())


def get_agent(session: Session, device_id: str) -> Agent | None:
    """The device's agent; None where no token was made."""
    row = session.get(AgentRow, device_id, populate_existing=True)
    return None if row is None else value_of(Agent, row)


def note_hello(session: Session, device_id: str, facts: dict[str, Any], instance: str) -> bool:
    """Store what an agent says of its device; says whether the device was unknown until now.

    What the same instance had leased before it started again is free.
    """
    session.execute(
        update(DeviceTaskRow)
        .where(
            DeviceTaskRow.device_id == device_id,
            DeviceTaskRow.state == "leased",
            DeviceTaskRow.leased_by == instance,
        )
        .values(lease_expires_at=now())
    )
    agent = session.get_one(AgentRow, device_id)
    first = not agent.facts
    agent.facts, agent.seen_at = facts, now()
    device = session.get_one(DeviceRow, device_id)
    known = {k: facts[k] for k in ("model", "n_cores", "memory_bytes", "instruction_sets")}
    said = {k: facts[k] for k in ("machine", "system") if facts.get(k)}
    labels = {**said, **device.facts.get("labels", {})}
    device.facts = {**device.facts, **{k: v for k, v in known.items() if v}, "labels": labels}
    return first


def note_seen(session: Session, device_id: str) -> None:
    """Note a sign of life."""
    session.execute(update(AgentRow).where(AgentRow.device_id == device_id).values(seen_at=now()))


def add_task(
    session: Session, task_id: str, *, device_id: str, job_id: str, payload: dict[str, Any]
) -> DeviceTask:
    """Store a task, or give back the one of that id; one that failed gets another chance."""
    row = DeviceTaskRow(
        id=task_id,
        device_id=device_id,
        job_id=job_id,
        payload=payload,
        state="queued",
        attempts=0,
        fraction=0.0,
        lineage=lineage(seed=payload.get("seed"), job=job_id),
        created_at=now(),
    )
    bell.ring(session)
    if not insert_once(session, row):
        again: dict[str, Any] = {"state": "queued", "attempts": 0, "problem": None, "fraction": 0.0}
        failed = DeviceTaskRow.state == "failed"
        session.execute(
            update(DeviceTaskRow).where(DeviceTaskRow.id == task_id, failed).values(**again)
        )
    return get_task(session, task_id)


def get_task(session: Session, task_id: str) -> DeviceTask:
    """The task of that id."""
    row = session.get(DeviceTaskRow, task_id, populate_existing=True)
    if row is None:
        raise NotFound(f"no task {task_id!r}")
    return value_of(DeviceTask, row)


def task_of_device(session: Session, task_id: str, device_id: str) -> DeviceTask:
    """The task of that id, for the agent of its own device alone."""
    found = get_task(session, task_id)
    if found.device_id != device_id:
        raise NotFound(f"no task {task_id!r} for this device")
    return found


def note_all_seen(session: Session, device_ids: Collection[str]) -> None:
    """Note a sign of life of each."""
    at, every = now(), sorted(device_ids)
    for some in (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE)):
        session.execute(update(AgentRow).where(AgentRow.device_id.in_(some)).values(seen_at=at))


def with_work(session: Session) -> set[str]:
    """Devices for which a task is to be taken."""
    query = select(DeviceTaskRow.device_id).join(JobRow, JobRow.id == DeviceTaskRow.job_id)
    return set(session.scalars(query.where(*_to_be_taken(now())).distinct()))


def _to_be_taken(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Tasks that nobody has (any more) and whose job still waits for them."""
    free = or_(
        DeviceTaskRow.state == "queued",
        and_(DeviceTaskRow.state == "leased", DeviceTaskRow.lease_expires_at <= at),
    )
    return free, JobRow.state.in_(("queued", "running")), JobRow.cancel_requested.is_(False)


def take_task(session: Session, device_id: str, instance: str) -> DeviceTask | None:
    """Lease the oldest open task of a device whose job still waits for it."""
    at = now()
    query = (
        select(DeviceTaskRow)
        .join(JobRow, JobRow.id == DeviceTaskRow.job_id)
        .where(DeviceTaskRow.device_id == device_id, *_to_be_taken(at))
        .order_by(DeviceTaskRow.created_at, DeviceTaskRow.id)
        .limit(8)
    )
    for row in session.scalars(query).all():
        if row.attempts >= MAX_ATTEMPTS:
            problem = row.problem or f"the agent vanished {row.attempts} times over it"
            _set(session, row.id, state="failed", problem=problem, finished_at=at)
            continue
        lease = secrets.token_hex(16)
        taken = session.execute(
            update(DeviceTaskRow)
            .where(
                DeviceTaskRow.id == row.id,
                DeviceTaskRow.attempts == row.attempts,
                DeviceTaskRow.state.in_(OPEN),
            )
            .values(
                state="leased",
                lease=lease,
                leased_by=instance,
                lease_expires_at=at + timedelta(seconds=LEASE_S),
                attempts=row.attempts + 1,
            )
            .returning(DeviceTaskRow.id)
        )
        if taken.first() is not None:
            return get_task(session, row.id)
    return None


def keep_task(
    session: Session, task: DeviceTask, lease: str, fraction: float, note: str = ""
) -> bool:
    """Prolong a lease and note what is waited for.

    False where nobody waits any more or another agent has the task.
    """
    job = session.get(JobRow, task.job_id, populate_existing=True)
    wanted = job is not None and job.state in {"queued", "running"} and not job.cancel_requested
    if task.state != "leased" or task.lease != lease or not wanted:
        return False
    until = now() + timedelta(seconds=LEASE_S)
    _set(session, task.id, lease_expires_at=until, fraction=fraction, note=note)
    return True


def finish_task(session: Session, task: DeviceTask, lease: str, result: dict[str, Any]) -> None:
    """Store a result; the first one counts, and the same one again changes nothing.

    Raises:
        Conflict: the lease is not the one that the task was last given out with.
    """
    if task.state == "done":
        if task.lease == lease:
            return
        raise Conflict(f"task {task.id} was finished by another run of the agent", field="lease")
    if task.lease != lease:
        raise Conflict(f"task {task.id} was given to another run of the agent", field="lease")
    _set(session, task.id, state="done", result=result, fraction=1.0, finished_at=now())


def fail_task(session: Session, task: DeviceTask, lease: str, problem: str) -> None:
    """Note that a run failed; the task is open again until it has failed too often."""
    if task.lease != lease or task.state != "leased":
        return
    ended = task.attempts >= 2
    state = "failed" if ended else "queued"
    _set(session, task.id, state=state, problem=problem, finished_at=now() if ended else None)


def files_of_open_tasks(session: Session, device_id: str) -> set[str]:
    """Digests of all files that a device's agent may still ask for."""
    query = select(DeviceTaskRow.payload).where(
        DeviceTaskRow.device_id == device_id, DeviceTaskRow.state.in_(OPEN)
    )
    found: set[str] = set()
    for payload in session.scalars(query):
        found.update(payload["models"].values())
        if payload.get("inputs"):
            found.add(payload["inputs"])
        found.update((payload.get("feeds") or {}).values())
        found.update(payload.get("recorded") or ())
    return found


def _set(session: Session, task_id: str, **values: Any) -> None:
    session.execute(update(DeviceTaskRow).where(DeviceTaskRow.id == task_id).values(**values))
