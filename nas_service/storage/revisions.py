"""The revision that a database's tables are of, and the way to the newest."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from nas_service.errors import InvalidSpec, Unavailable
from nas_service.storage.session import Database

VERSION_TABLE = "nas_alembic_version"
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str, to: str = "head") -> None:
    """Bring the database's tables to a revision, the newest, from whatever there is.

    Raises:
        Unavailable: the database does not answer.
        InvalidSpec: the URL is none.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    try:
        command.upgrade(config, to)
    except OperationalError as error:
        first = str(error.orig).strip().splitlines()[0]
        raise Unavailable(f"the database does not answer: {first}") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidSpec(f"NAS_DATABASE_URL is no database: {error}") from error


def migrations(database: Database) -> tuple[str | None, str | None]:
    """The revision that a database's tables are of, None where there are none, and the newest.

    Raises:
        Unavailable: the database does not answer.
    """
    newest = _scripts().get_current_head()
    try:
        with database.engine.connect() as connection:
            options = {"version_table": VERSION_TABLE}
            found = MigrationContext.configure(connection, opts=options)
            return found.get_current_revision(), newest
    except OperationalError as error:
        raise Unavailable(f"the database does not answer: {error.orig}") from error


def knows_revision(revision: str) -> bool:
    """Whether tables of a revision are of this version of the service, or of an earlier one."""
    return any(one.revision == revision for one in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return ScriptDirectory.from_config(config)
