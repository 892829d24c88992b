"""Workers' leases: who lives, on what machine, and whose work others took over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.errors import TakenOver
from nas_service.storage.models.jobs import LeaseRow
from nas_service.storage.session import database_now


def renew_lease(
    session: Session,
    executor: str,
    queues: Sequence[str],
    seconds: float,
    machine: Mapping[str, Any] | None = None,
    *,
    first: bool = True,
) -> None:
    """Say that this worker lives for so many seconds more, and on what `machine` it measures.

    Raises:
        TakenOver: others took over its work; or, where this is not the `first` lease, forgot it.
    """
    row = session.get(LeaseRow, executor, with_for_update=True)
    if (row is None and not first) or (row is not None and row.taken_over):
        raise TakenOver(f"others took over the work of {executor}")
    expires_at = database_now(session) + timedelta(seconds=seconds)
    if row is None:
        row = LeaseRow(executor=executor)
        session.add(row)
    row.queues = list(queues)
    row.machine = None if machine is None else dict(machine)
    row.expires_at = expires_at


def fence(session: Session, executors: Sequence[str]) -> None:
    """Whatever these workers write from now on is refused; their work is about to be taken over.

    A transaction of theirs that is about to end ends before.
    """
    for executor in executors:
        row = session.get(LeaseRow, executor, with_for_update=True)
        if row is None:  # forgotten long ago, which `require_lease` refuses as well
            continue
        row.taken_over = True


def require_lease(session: Session, executor: str) -> None:
    """Raise `TakenOver` unless a worker's work is its own, until this transaction ends."""
    query = select(LeaseRow.taken_over).where(LeaseRow.executor == executor)
    taken_over = session.scalar(query.with_for_update(read=True))
    if taken_over is None or taken_over:
        raise TakenOver(f"others took over the work of {executor}")


def end_lease(session: Session, executor: str) -> None:
    """Say that this worker is gone."""
    session.execute(delete(LeaseRow).where(LeaseRow.executor == executor))


def live_workers(session: Session) -> dict[str, list[str]]:
    """The workers whose lease has not run out, with their queues."""
    query = select(LeaseRow).where(LeaseRow.expires_at > database_now(session))
    return {row.executor: list(row.queues) for row in session.scalars(query)}


def seconds_left(session: Session) -> dict[str, float]:
    """The workers whose lease has not run out, with the seconds after which it will have."""
    at = database_now(session)
    query = select(LeaseRow.executor, LeaseRow.expires_at).where(LeaseRow.expires_at > at)
    return {row[0]: (row[1] - at).total_seconds() for row in session.execute(query)}


def machines(session: Session) -> dict[str, dict[str, Any]]:
    """Machines by name on which a worker that measures lives: `facts` and `runtimes` of each."""
    query = select(LeaseRow).where(LeaseRow.expires_at > database_now(session))
    told = [row.machine for row in session.scalars(query) if row.machine]
    return {one["name"]: one for one in told}


def forget_dead_leases(session: Session, older_than_s: float) -> None:
    """Remove leases that ran out long ago."""
    limit = database_now(session) - timedelta(seconds=older_than_s)
    session.execute(delete(LeaseRow).where(LeaseRow.expires_at < limit))
