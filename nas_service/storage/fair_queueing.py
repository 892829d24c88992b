"""The order in which jobs that wait on one queue are worked off, fair among projects.

Start-time fair queueing (Goyal, Vin and Cheng, 1997) among projects: a job's start tag is a step
after that of its project's last, and no earlier than that of the job that was taken last. So a
project with a thousand jobs waiting keeps another one's first waiting for one of them, not for all,
and what it had before is not held against it. Urgent jobs take a quarter of a step, and begin a
step ahead; what is `low`, of whatever project, comes when nothing else waits on its queue.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from nas_service.storage.models.jobs import JobRow

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)

URGENT = 4
"""Urgent jobs of a project that may be taken for one of another project."""
_STEP = {"high": 1, "normal": URGENT, "low": URGENT}
_LOW = 2**30
"""Beyond every other place: the engine's numbers end at 2^31 - 1."""
_LAST = _LOW // 2 - 2 * URGENT
_JOBS: Any = JobRow.__table__.c  # the table itself, not the class: of whatever project


def place(priority: str, start_tag: int) -> int:
    """Where a job stands in its queue, a positive number: the smallest is taken first."""
    if priority == "high":
        return 2 * start_tag + 2
    return 2 * (start_tag + URGENT) + 3 + (_LOW if priority == "low" else 0)


def next_start_tag(session: Session, queue: str, project_id: str, priority: str) -> int:
    """The start tag of a job that a project is about to put on a queue, from 0.

    All that is asked for is the first or last row of an index, however many jobs wait or ran.
    """
    lane = ("low",) if priority == "low" else ("high", "normal")
    reached = max(_last_taken(session, queue, one) for one in lane)
    mine = and_(_JOBS.project_id == project_id, _JOBS.priority == priority)
    waits = select(_JOBS.start_tag).where(_JOBS.queue == queue, _JOBS.state == "queued", mine)
    last = max(
        _number(session, waits.order_by(_JOBS.start_tag.desc()).limit(1), default=-_STEP[priority]),
        _last_taken(session, queue, priority, project_id, default=-_STEP[priority]),
    )
    return min(max(reached, last + _STEP[priority]), _LAST)


def n_before(session: Session, row: JobRow) -> int:
    """How many jobs on its queue, of whatever project, are taken before one that waits."""
    mine = place(row.priority, row.start_tag)
    theirs = case(
        (_JOBS.priority == "high", place("high", 0) + 2 * _JOBS.start_tag),
        (_JOBS.priority == "low", place("low", 0) + 2 * _JOBS.start_tag),
        else_=place("normal", 0) + 2 * _JOBS.start_tag,
    )
    older: ColumnElement[bool] = and_(theirs == mine, _JOBS.created_at < row.created_at)
    query = select(func.count()).select_from(JobRow.__table__)
    waiting = and_(_JOBS.queue == row.queue, _JOBS.state == "queued")
    return _number(session, query.where(waiting, or_(theirs < mine, older)), default=0)


def _last_taken(
    session: Session, queue: str, priority: str, project_id: str | None = None, default: int = 0
) -> int:
    """The start tag of the last job of a priority that a worker took, of a project or of all."""
    query = select(_JOBS.start_tag).where(
        _JOBS.queue == queue, _JOBS.priority == priority, _JOBS.started_at.is_not(None)
    )
    if project_id is not None:
        query = query.where(_JOBS.project_id == project_id)
    return _number(session, query.order_by(_JOBS.started_at.desc()).limit(1), default)


def _number(session: Session, query: Select[Any], default: int) -> int:
    found = session.execute(query).scalar()
    return default if found is None else int(found)
