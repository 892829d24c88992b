"""Alembic's entry: run migrations on the URL handed over by `migrate`."""

from __future__ import annotations

from typing import Any

from alembic import context

from nas_service.storage.models.base import Base
from nas_service.storage.revisions import VERSION_TABLE
from nas_service.storage.session import make_engine


def ours(name: str | None, kind: str, _: Any) -> bool:
    """Only our own tables: others may live in the same database."""
    return kind != "table" or name in Base.metadata.tables


engine = make_engine(context.config.attributes["url"])
on_sqlite = engine.dialect.name == "sqlite"
with engine.connect() as connection:
    if on_sqlite:  # it changes a table by making it anew: dropping the old one must not cascade
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        include_name=ours,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
        if on_sqlite:
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            assert broken is None, f"a row of {broken[0]} lost what it belongs to"
engine.dispose()
