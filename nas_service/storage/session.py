"""Engines and sessions."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker

from nas_service.errors import InvalidSpec, Unavailable
from nas_service.postgresql import noticing
from nas_service.storage.scope import DEFAULT, Scope, bound

_WRITES = "writes"
"""Noted on a session that has written."""


def make_engine(url: str) -> Engine:
    """A database engine; SQLite in WAL mode with foreign keys and a patient lock."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(noticing(url), pool_pre_ping=True, pool_size=5)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, pool_size=5)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


class Database:
    """Sessions of one database within a scope; each `session()` is one transaction."""

    def __init__(self, url: str, scope: Scope = DEFAULT) -> None:
        self.engine = make_engine(url)
        self.scope = scope
        self._info: Mapping[str, Any] = {}
        self._guard: Callable[[Session], None] | None = None
        self._make = sessionmaker(self.engine, expire_on_commit=False)

    def of(self, scope: Scope, info: Mapping[str, Any] | None = None) -> Database:
        """The same database within another scope, on the same connections.

        `info` is put down in each session, for those who listen to its events.
        """
        other = copy(self)
        other.scope = scope
        other._info = info or {}
        return other

    def guarded(self, guard: Callable[[Session], None]) -> Database:
        """The same where what writes ends with `guard`: nothing is written if that raises."""
        other = copy(self)
        other._guard = guard
        return other

    def seeing(self, scope: Scope) -> Database:
        """The same database within another scope, for those who listen to it here."""
        return self.of(scope, self._info)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back where something was raised.

        Raises:
            Unavailable: the database did not answer.
            InvalidSpec: it cannot hold what it was given, as a text with a zero byte.
        """
        try:
            with self._make.begin() as session:
                session.info.update(self._info)
                yield bound(session, self.scope)
                if self._guard is not None:
                    session.flush()
                    if session.info.get(_WRITES):
                        self._guard(session)
        except OperationalError as error:
            raise Unavailable(f"the database does not answer: {error.orig}") from error
        except DataError as error:
            first = str(error.orig).strip().splitlines()[0]
            raise InvalidSpec(f"the database cannot hold this: {first}") from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@event.listens_for(Session, "do_orm_execute")
def _statement(state: ORMExecuteState) -> None:
    if not state.is_select:
        state.session.info[_WRITES] = True


@event.listens_for(Session, "after_flush")
def _flushed(session: Session, _context: Any) -> None:
    session.info[_WRITES] = True


def state_of(database: Database) -> Callable[[], int | None]:
    """A function that gives a number which changes whenever anybody else writes.

    It takes microseconds, and is for one thread. None where a database has no such number, as
    all but SQLite.
    """
    if database.engine.dialect.name != "sqlite":
        return lambda: None
    connection = database.engine.raw_connection()
    connection.detach()  # the number is this connection's own
    cursor = connection.cursor()

    def state() -> int:
        cursor.execute("PRAGMA data_version")
        row = cursor.fetchone()
        assert row is not None, "it always has one"
        return int(row[0])

    return state


def shown_url(url: str) -> str:
    """A database as it may be printed: without user, password and options."""
    parsed = make_url(url)
    where = "" if parsed.host is None else f"{parsed.host}:{parsed.port or 5432}/"
    return f"{where}{parsed.database or ''}"


def database_now(session: Session) -> datetime:
    """The time by the database's clock, which all hosts share; SQLite has that of this machine."""
    if session.get_bind().dialect.name == "sqlite":
        return now()
    found = session.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime), "it always has one"
    return found.astimezone(UTC)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """An identifier that sorts by the time it was made."""
    return f"{prefix}_{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"
