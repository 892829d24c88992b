"""Whose rows a session sees: those of one project, or of all.

Every session has a scope, so that no repository can be asked without one: queries, updates and
deletions see rows of its project alone, and what is stored belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import (
    Mapped,
    ORMExecuteState,
    Session,
    mapped_column,
    with_loader_criteria,
)
from sqlalchemy.types import String

_KEY = "scope"
PROJECT_ID = String(40)


@dataclass(frozen=True, slots=True)
class Scope:
    """A project; without one, the service itself, which sees all rows and owns none."""

    project_id: str | None


DEFAULT = Scope("default")
"""The one project until there are accounts."""
SERVICE = Scope(None)
"""For what workers and the API do for everybody: leases, schedules, webhooks, cleaning up."""


class Ours:
    """What every row of the service is: others may use SQLAlchemy in the same process."""


class Owned:
    """A row that belongs to a project."""

    project_id: Mapped[str] = mapped_column(PROJECT_ID, server_default="default", index=True)


def bound(session: Session, scope: Scope) -> Session:
    """A session that sees rows of a scope alone."""
    session.info[_KEY] = scope
    return session


def scope_of(session: Session) -> Scope:
    """The scope of a session; one that was made elsewhere has none, and gets nothing."""
    found = session.info.get(_KEY)
    if not isinstance(found, Scope):
        raise TypeError("this session has no scope: sessions are made by Database.session")
    return found


def take_over(session: Session, row: object) -> None:
    """Give a row that is about to be stored to the project of its session.

    Raises:
        ValueError: the row has another owner, or none where the service itself stores it.
    """
    if not isinstance(row, Owned):
        return
    own = scope_of(session).project_id
    row.project_id = row.project_id or own or ""
    if not row.project_id or own not in {None, row.project_id}:
        raise ValueError(f"a {type(row).__name__} needs its project: {row.project_id or 'none'}")


@event.listens_for(Session, "do_orm_execute")
def _within(state: ORMExecuteState) -> None:
    """Restrict every statement to the scope of its session; other people's are their business."""
    if _KEY not in state.session.info and not _is_of_ours(state):
        return
    own = scope_of(state.session).project_id
    if own is None or state.is_column_load or state.is_relationship_load:
        return
    state.statement = state.statement.options(
        with_loader_criteria(Owned, lambda kind: kind.project_id == own, include_aliases=True)
    )


def _is_of_ours(state: ORMExecuteState) -> bool:
    return any(issubclass(one.class_, Ours) for one in state.all_mappers)


@event.listens_for(Session, "before_flush")
def _owned(session: Session, _context: Any, _instances: Any) -> None:
    """Rows that are added belong to the scope of their session."""
    for row in session.new:
        take_over(session, row)
