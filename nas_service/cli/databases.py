"""Both databases of a service, brought up to date before it starts, and what has to be in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from nas_service.engine import durable
from nas_service.errors import Conflict, Unavailable
from nas_service.settings import Settings
from nas_service.storage import tokens
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, make_engine, shown_url


def require_token(settings: Settings) -> None:
    """Raise `Conflict` where others reach the service and nobody has a token for it."""
    if settings.is_open:
        return
    database = Database(settings.url, SERVICE)
    try:
        with database.session() as session:
            n_usable = tokens.n_usable(session)
    finally:
        database.close()
    if n_usable == 0:
        raise Conflict(
            f"others can reach {settings.host}, and there is no token that says who may do what: "
            "`nas tokens add --local --operator NAME` makes the first one",
            field="host",
        )


def prepare(settings: Settings) -> None:
    """Make folders and bring both databases' tables to the newest revision.

    Raises:
        Unavailable: a database cannot be opened, or is none.
    """
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    with _database_errors(settings):
        migrate(settings.url)
        durable.prepare(settings.engine_url)


def require_database(settings: Settings) -> None:
    """Raise `Unavailable` where the database cannot be opened, or is none."""
    with _database_errors(settings):
        engine = make_engine(settings.url)
        try:
            engine.connect().close()
        finally:
            engine.dispose()


@contextmanager
def _database_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        first = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        shown = shown_url(settings.url)
        raise Unavailable(f"the database {shown} cannot be used: {first}") from error
