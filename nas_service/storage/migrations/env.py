"""Alembic's entry: run migrations on the URL handed over by `migrate`."""

from __future__ import annotations

from typing import Any

from alembic import context

from nas_service.storage.models import Base
from nas_service.storage.session import VERSION_TABLE, make_engine


def ours(name: str | None, kind: str, _: Any) -> bool:
    """Only our own tables: others may live in the same database."""
    return kind != "table" or name in Base.metadata.tables


engine = make_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        include_name=ours,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
