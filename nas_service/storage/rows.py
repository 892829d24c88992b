"""What repositories share: values from rows, pages, upserts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from nas_service.errors import InvalidSpec
from nas_service.storage.models.base import Base
from nas_service.storage.scope import take_over

T = TypeVar("T")
R = TypeVar("R", bound=Base)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some values and, where there are more, the cursor that the next page starts at."""

    items: list[T]
    next_cursor: str | None


def value_of(kind: type[T], row: Base) -> T:
    """The frozen dataclass `kind` filled from the row's attributes of the same names."""
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})  # type: ignore[arg-type]  # kind is a dataclass


def page_of(
    session: Session,
    query: Select[R],
    key: InstrumentedAttribute[str],
    make: Callable[[R], T],
    *,
    cursor: str | None,
    limit: int,
    made_at: InstrumentedAttribute[datetime] | None = None,
) -> Page[T]:
    """One page of `query`, newest first, by a key that sorts by time.

    Where the key does not, `made_at` is the time.
    """
    order: tuple[InstrumentedAttribute[Any], ...] = (key,) if made_at is None else (made_at, key)
    if cursor is not None:
        time, _, last = _decode(cursor).rpartition(" ")
        if made_at is None:
            query = query.where(key < last)
        else:
            at = _time(time)
            query = query.where((made_at < at) | ((made_at == at) & (key < last)))
    rows = list(session.scalars(query.order_by(*(one.desc() for one in order)).limit(limit + 1)))
    if len(rows) <= limit:
        return Page([make(row) for row in rows], None)
    values = [getattr(rows[limit - 1], one.key) for one in order]
    told = [one.isoformat() if isinstance(one, datetime) else one for one in values]
    return Page([make(row) for row in rows[:limit]], _encode(" ".join(told)))


def insert_once(session: Session, row: Base) -> bool:
    """Insert `row` unless one with the same key is there; says whether it was inserted."""
    take_over(session, row)
    table = row.__table__
    assert isinstance(table, Table)
    values: dict[str, Any] = {
        attribute.key: getattr(row, attribute.key)
        for attribute in row.__mapper__.column_attrs
        if getattr(row, attribute.key) is not None
    }
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    done = session.execute(make(table).values(values).on_conflict_do_nothing().returning(1))
    return done.first() is not None


def _encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidSpec("cursor: not one that this service gave", field="cursor") from error


def _decode(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise InvalidSpec("cursor: not one that this service gave", field="cursor") from error
