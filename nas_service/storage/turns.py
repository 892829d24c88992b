"""Whose turn it is: the order in which jobs that wait on one queue are worked off.

Projects take turns (fair queueing by start times, Goyal, Vin and Cheng, 1997): a job's turn is the
one after its project's last that waits, and no earlier than that of whoever is next. So a project
with a thousand jobs waiting keeps another one's first waiting for one of them, not for all.
Within a project what is `high` comes first; what is `low`, of whatever project, comes when nothing
else waits on its queue.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from nas_service.storage.models import JobRow

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)

_LOW = 2**30
"""Beyond every turn: the engine's numbers end at 2^31 - 1."""
_JOBS: Any = JobRow.__table__.c  # the table itself, not the class: of whatever project


def place(priority: str, turn: int) -> int:
    """Where a job stands in its queue, counted from 2: the smallest is taken first."""
    return 2 * turn + (priority != "high") + (_LOW if priority == "low" else 0)


def next_turn(session: Session, queue: str, project_id: str, priority: str) -> int:
    """The turn of a job that a project is about to put on a queue, counted from 1."""
    # each by the index, which knows first and last of a priority, however many wait
    lane = ["low"] if priority == "low" else ["high", "normal"]
    begun = [
        _number(session, select(func.min(_JOBS.turn)).where(_waiting(queue), _JOBS.priority == one))
        for one in lane
    ]
    own = select(_JOBS.turn).where(
        _waiting(queue), _JOBS.priority == priority, _JOBS.project_id == project_id
    )
    last = _number(session, own.order_by(_JOBS.turn.desc()).limit(1))
    return min(max(min(filter(None, begun), default=1), last + 1), _LOW // 2 - 1)


def n_before(session: Session, row: JobRow) -> int:
    """How many jobs on its queue, of whatever project, are taken before one that waits."""
    low, turn = row.priority == "low", row.turn
    is_low = _JOBS.priority == "low"
    lane = is_low if low else ~is_low
    same = _JOBS.priority == row.priority
    sooner = [and_(lane, _JOBS.turn < turn), and_(same, _JOBS.turn == turn, _older(row))]
    if row.priority == "normal":
        sooner.append(and_(_JOBS.priority == "high", _JOBS.turn == turn))
    if low:
        sooner.append(~is_low)
    query = select(func.count()).select_from(JobRow.__table__)
    return _number(session, query.where(_waiting(row.queue), or_(*sooner)))


def _waiting(queue: str) -> ColumnElement[bool]:
    return and_(_JOBS.queue == queue, _JOBS.state == "queued")


def _older(row: JobRow) -> ColumnElement[bool]:
    earlier: ColumnElement[bool] = _JOBS.created_at < row.created_at
    return earlier


def _number(session: Session, query: Select[Any]) -> int:
    return int(session.execute(query).scalar() or 0)
