"""Jobs, their events, idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from nas_service.errors import Conflict, InvalidSpec, NotFound
from nas_service.lineage import lineage
from nas_service.queues import queue_of
from nas_service.storage import fair_queueing
from nas_service.storage.fair_queueing import Priority, next_start_tag
from nas_service.storage.models.jobs import IdempotencyRow, JobEventRow, JobRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.scope import DEFAULT, Scope, scope_of
from nas_service.storage.session import now

OPEN = ("queued", "running")
FINAL = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Job:
    """One durable workflow as users see it: state, progress, outcome."""

    id: str
    kind: str
    subject: str
    parent: str | None
    state: str
    priority: Priority
    start_tag: int
    fraction: float
    message: str
    eta_s: float | None
    params: dict[str, Any]
    problem: dict[str, Any] | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What a step did, when and where."""

    step: str
    event: str
    executor: str
    at: datetime


def add_job(
    session: Session,
    job_id: str,
    kind: str,
    *,
    subject: str,
    params: dict[str, Any],
    parent: str | None = None,
    priority: Priority = "normal",
) -> Job:
    """Store a job, or give back the one of that id; one below another has its priority."""
    if parent is not None:
        priority = priority_of(session, parent)
    queue = queue_of(kind, params).key
    project_id = scope_of(session).project_id or DEFAULT.project_id or ""
    row = JobRow(
        id=job_id,
        kind=kind,
        subject=subject,
        parent=parent,
        state="queued",
        queue=queue,
        priority=priority,
        start_tag=next_start_tag(session, queue, project_id, priority),
        fraction=0.0,
        message="waiting for a worker",
        params=params,
        cancel_requested=False,
        lineage=lineage(seed=params.get("seed"), subject=subject),
        created_at=now(),
    )
    insert_once(session, row)
    return get_job(session, job_id)


def get_job(session: Session, job_id: str) -> Job:
    """The job of that id."""
    row = session.get(JobRow, job_id, populate_existing=True)
    if row is None:
        raise NotFound(f"no job {job_id!r}")
    return value_of(Job, row)


def is_stored(session: Session, job_id: str) -> bool:
    """Whether there is a job of that id."""
    return session.get(JobRow, job_id) is not None


def priority_of(session: Session, job_id: str) -> Priority:
    """The priority of a job; that of most where there is none of that id."""
    row = session.get(JobRow, job_id)
    return "normal" if row is None else value_of(Job, row).priority


def n_before(session: Session, job_id: str) -> int | None:
    """How many jobs are taken before one that waits for a worker; None where it does not."""
    row = session.get(JobRow, job_id)
    if row is None or row.state != "queued" or not row.queue:
        return None
    return fair_queueing.n_before(session, row)


def n_open(session: Session, at_most: int) -> int:
    """How many jobs have not ended that are part of no other; counted no further than that."""
    query = select(JobRow.id).where(JobRow.state.in_(OPEN), JobRow.parent.is_(None))
    return len(session.scalars(query.limit(at_most)).all())


def list_jobs(
    session: Session,
    *,
    subject: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    parent: str | None = None,
    cursor: str | None,
    limit: int,
) -> Page[Job]:
    """Jobs, newest first."""
    query = select(JobRow)
    if state is not None:
        query = query.where(JobRow.state == state)
    if parent is not None:
        query = query.where(JobRow.parent == parent)
    if kind is not None:
        query = query.where(JobRow.kind == kind)
    if subject is not None:
        query = query.where(JobRow.subject == subject)
    return page_of(
        session,
        query,
        JobRow.id,
        lambda row: value_of(Job, row),
        cursor=cursor,
        limit=limit,
        made_at=JobRow.created_at,  # ids begin with what the job is about
    )


def children_of(session: Session, job_id: str) -> list[Job]:
    """Jobs that this one waits for, oldest first."""
    query = select(JobRow).where(JobRow.parent == job_id).order_by(JobRow.created_at, JobRow.id)
    return [value_of(Job, row) for row in session.scalars(query)]


def jobs_starting(session: Session, prefix: str) -> list[Job]:
    """Jobs whose id starts so."""
    query = select(JobRow).where(JobRow.id.startswith(prefix, autoescape=True))
    return [value_of(Job, row) for row in session.scalars(query)]


def start(session: Session, job_id: str) -> bool:
    """Note that the job runs; False where it has ended or is to be cancelled."""
    session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == "queued")
        .values(state="running", started_at=now(), message="starting")
    )
    job = get_job(session, job_id)
    return job.state == "running" and not job.cancel_requested


def progress(
    session: Session, job_id: str, *, fraction: float, message: str, eta_s: float | None
) -> None:
    """Note how far the job is; of several below it that run at once none takes it back."""
    so_far = case((JobRow.fraction > fraction, JobRow.fraction), else_=fraction)
    session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == "running")
        .values(fraction=so_far, message=message, eta_s=eta_s)
    )


def finish(
    session: Session, job_id: str, state: str, *, problem: dict[str, Any] | None = None
) -> None:
    """Note how the job ended; one that has ended stays as it ended."""
    values: dict[str, Any] = {
        "state": state,
        "problem": problem,
        "finished_at": now(),
        "eta_s": None,
        "message": {"succeeded": "done", "cancelled": "cancelled"}.get(state, "failed"),
    }
    if state == "succeeded":
        values["fraction"] = 1.0
    session.execute(
        update(JobRow).where(JobRow.id == job_id, JobRow.state.not_in(FINAL)).values(**values)
    )


def request_cancel(session: Session, job_id: str) -> Job:
    """Ask the job and all below it to end; `Conflict` where it has ended.

    One that waits for a worker has ended with that.
    """
    job = get_job(session, job_id)
    if job.state in FINAL:
        raise Conflict(f"job {job_id} has already {job.state}")
    session.execute(update(JobRow).where(JobRow.id == job_id).values(cancel_requested=True))
    session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == "queued")
        .values(state="cancelled", finished_at=now(), message="cancelled")
    )
    for child in children_of(session, job_id):
        if child.state not in FINAL:
            request_cancel(session, child.id)
    return get_job(session, job_id)


def is_cancelled(session: Session, job_id: str) -> bool:
    """Whether somebody asked for the end of the job."""
    found = session.scalar(select(JobRow.cancel_requested).where(JobRow.id == job_id))
    return bool(found)


def add_event(session: Session, job_id: str, step: str, event: str, executor: str) -> None:
    """Append to the job's record."""
    session.add(JobEventRow(job_id=job_id, step=step, event=event, executor=executor, at=now()))


def events_of(session: Session, job_id: str) -> list[JobEvent]:
    """The job's record, oldest first."""
    query = select(JobEventRow).where(JobEventRow.job_id == job_id).order_by(JobEventRow.id)
    return [value_of(JobEvent, row) for row in session.scalars(query)]


def project_of(session: Session, job_id: str) -> Scope:
    """The scope that a job works in; `NotFound` where there is no such job."""
    found = session.scalar(select(JobRow.project_id).where(JobRow.id == job_id))
    if found is None:
        raise NotFound(f"no job {job_id!r}")
    return Scope(found)


def oldest_open(session: Session) -> datetime | None:
    """When the oldest of the jobs was stored that have not ended."""
    return session.scalar(select(func.min(JobRow.created_at)).where(JobRow.state.in_(OPEN)))


def unfinished(session: Session) -> list[Job]:
    """Jobs that have not ended."""
    query = select(JobRow).where(JobRow.state.not_in(FINAL)).order_by(JobRow.id)
    return [value_of(Job, row) for row in session.scalars(query)]


def first_open(session: Session, limit: int) -> list[Job]:
    """Jobs that run, then those that wait for the longest."""
    found: list[Job] = []
    for state in reversed(OPEN):
        query = select(JobRow).where(JobRow.state == state).order_by(JobRow.created_at, JobRow.id)
        rows = session.scalars(query.limit(limit - len(found)))
        found += [value_of(Job, row) for row in rows]
    return found


def unfinished_after(
    session: Session, after: str, stored_before: datetime, limit: int
) -> list[tuple[str, str | None]]:
    """Jobs that have not ended, from the one after `after` on: ids, each with the job above it.

    Those below no other are not asked for here, as databases would go by that: most jobs that have
    ended are such.
    """
    query = (
        select(JobRow.id, JobRow.parent)
        .where(JobRow.state.in_(OPEN), JobRow.created_at < stored_before, JobRow.id > after)
        .order_by(JobRow.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def waiting_since(session: Session, at: datetime, limit: int) -> list[Job]:
    """Jobs that have waited for a worker since before then, the oldest first."""
    query = select(JobRow).where(JobRow.state == "queued", JobRow.created_at <= at)
    query = query.order_by(JobRow.created_at, JobRow.id).limit(limit)
    return [value_of(Job, row) for row in session.scalars(query)]


def count_by_state(session: Session) -> dict[str, int]:
    """Number of jobs in each state."""
    query = select(JobRow.state, func.count()).group_by(JobRow.state)
    return {row[0]: row[1] for row in session.execute(query)}


def remember(session: Session, key: str, request: str, subject: str) -> str:
    """The subject first remembered for `key`; `InvalidSpec` where its request was another."""
    scope = scope_of(session)
    if scope != DEFAULT:  # the key is the row's own; those of the one project are as they were
        key = f"{scope.project_id}/{key}"
    insert_once(
        session, IdempotencyRow(key=key, request=request, subject=subject, created_at=now())
    )
    row = session.get_one(IdempotencyRow, key, populate_existing=True)
    if row.request != request:
        raise InvalidSpec(
            "this Idempotency-Key was used with another request", field="Idempotency-Key"
        )
    return row.subject
