"""Who changed what: a row in the same transaction as the change, which nobody can alter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import ORMExecuteState, Session

from nas_service.errors import InvalidSpec
from nas_service.storage.models.access import AuditRow
from nas_service.storage.rows import Page, value_of
from nas_service.storage.scope import scope_of
from nas_service.storage.session import now

_ACTION, _WROTE = "action", "wrote"


@dataclass(frozen=True, slots=True)
class Action:
    """A request that may change something: who, what, to what."""

    actor: str
    actor_name: str
    action: str
    subject: str
    request_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A change that was made."""

    id: int
    project_id: str
    at: datetime
    actor: str
    actor_name: str
    action: str
    subject: str
    request_id: str


def watching(action: Action) -> dict[str, Action]:
    """What `Database.of` is told, so that a session that changes anything adds an event of it."""
    return {_ACTION: action}


@event.listens_for(Session, "do_orm_execute")
def _executed(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[_WROTE] = True


@event.listens_for(Session, "after_flush")
def _flushed(session: Session, _context: Any) -> None:
    session.info[_WROTE] = True


@event.listens_for(Session, "before_commit")
def _record(session: Session) -> None:
    action = session.info.get(_ACTION)
    if action is None:
        return
    session.flush()
    if not session.info.pop(_WROTE, False):
        return
    del session.info[_ACTION]  # once, and not of the event itself
    row = AuditRow(
        at=now(),
        actor=action.actor,
        actor_name=action.actor_name[:255],
        action=action.action[:80],
        subject=action.subject[:255],
        request_id=action.request_id,
        project_id=scope_of(session).project_id or action.project_id,
    )
    session.add(row)


def list_events(session: Session, *, cursor: str | None, limit: int) -> Page[AuditEvent]:
    """Changes, newest first."""
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit + 1)
    if cursor is not None:
        if not cursor.isdecimal() or len(cursor) > 18:
            raise InvalidSpec("cursor: not one that this service gave", field="cursor")
        query = query.where(AuditRow.id < int(cursor))
    rows = list(session.scalars(query))
    items = [value_of(AuditEvent, row) for row in rows[:limit]]
    return Page(items, str(items[-1].id) if len(rows) > limit else None)
