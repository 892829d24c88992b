"""Data sets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nas_service.errors import Conflict, NotFound
from nas_service.learning.base import LearningTask
from nas_service.learning.registry import task_of
from nas_service.lineage import lineage
from nas_service.space.base import Sample
from nas_service.storage.models.trained import DatasetRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.session import new_id, now

PREVIEW = "preview.png"
"""The artifact of a data set that shows some of its samples."""


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A data set; `digest`, `sha256` and `facts` are there once it has been imported."""

    id: str
    name: str
    digest: str | None
    sha256: str | None
    source: dict[str, Any]
    facts: dict[str, Any]
    lineage: dict[str, Any]
    created_at: datetime

    @property
    def ready(self) -> bool:
        """Whether it has been imported."""
        return self.sha256 is not None

    @property
    def task(self) -> LearningTask:
        """What networks are taught on it."""
        return task_of(self.facts)

    @property
    def sample(self) -> Sample:
        """What a search space of it is made for."""
        return self.task.sample(self.facts)


def add_dataset(session: Session, name: str, source: dict[str, Any]) -> StoredDataset:
    """Register a data set to be imported; a name that is taken is a `Conflict`."""
    row = DatasetRow(
        id=new_id("dat"),
        name=name,
        source=source,
        facts={},
        lineage=lineage(),
        created_at=now(),
    )
    if not insert_once(session, row):
        raise _taken(name)
    return get_dataset(session, row.id)


def require_free(session: Session, name: str) -> None:
    """Raise `Conflict` where a data set has that name."""
    if session.scalar(select(DatasetRow.id).where(DatasetRow.name == name)) is not None:
        raise _taken(name)


def _taken(name: str) -> Conflict:
    return Conflict(f"a data set named {name!r} is there already", field="name")


def get_dataset(session: Session, name_or_id: str) -> StoredDataset:
    """The data set of that name or id; `NotFound` lists the known names."""
    query = select(DatasetRow).where(
        (DatasetRow.name == name_or_id) | (DatasetRow.id == name_or_id)
    )
    row = session.scalar(query)
    if row is None:
        known = sorted(session.scalars(select(DatasetRow.name)))
        raise NotFound(
            f"no data set {name_or_id!r}; known: {', '.join(known) or 'none'}",
            field="dataset",
            known_names=known,
        )
    return value_of(StoredDataset, row)


def list_datasets(session: Session, *, cursor: str | None, limit: int) -> Page[StoredDataset]:
    """Data sets, newest first."""
    return page_of(
        session,
        select(DatasetRow),
        DatasetRow.id,
        lambda row: value_of(StoredDataset, row),
        cursor=cursor,
        limit=limit,
    )


def set_imported(
    session: Session, dataset_id: str, *, digest: str, sha256: str, facts: dict[str, Any]
) -> None:
    """Note what importing gave."""
    session.execute(
        update(DatasetRow)
        .where(DatasetRow.id == dataset_id)
        .values(digest=digest, sha256=sha256, facts=facts, lineage=lineage(data=digest))
    )


def remove_dataset(session: Session, dataset_id: str) -> None:
    """Forget a data set that could not be imported."""
    row = session.get(DatasetRow, dataset_id)
    if row is not None and row.sha256 is None:
        session.delete(row)
