"""Artifacts: stored files with their lineage and measurements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.errors import Conflict, NotFound
from nas_service.storage.blobs import BlobStore
from nas_service.storage.models.devices import TableRow
from nas_service.storage.models.files import ArtifactRow, MeasurementRow
from nas_service.storage.models.searches import CandidateSetRow
from nas_service.storage.models.trained import DatasetRow, PredictorRow, SupernetRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.scope import SERVICE, scope_of
from nas_service.storage.session import new_id, now

SEARCH_SPACE = "search_space"
"""The kind of files that a space of a user's own is made of."""


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """A file; `owner` is the winner or search that it was made for."""

    id: str
    owner: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    lineage: dict[str, Any]
    created_at: datetime


def add_artifact(
    session: Session,
    blobs: BlobStore,
    source: Path,
    *,
    owner: str,
    name: str,
    kind: str,
    lineage: dict[str, Any],
) -> StoredArtifact:
    """Store a file, blob first; the owner's file of the same name is replaced."""
    sha256 = blobs.put(source)
    query = select(ArtifactRow).where(ArtifactRow.owner == owner, ArtifactRow.name == name)
    row = session.scalar(query)
    if row is None:
        row = ArtifactRow(id=new_id("art"), owner=owner, name=name, created_at=now())
        session.add(row)
    row.kind, row.sha256, row.size_bytes = kind, sha256, source.stat().st_size
    row.lineage = lineage
    session.flush()
    return value_of(StoredArtifact, row)


def get_artifact(session: Session, artifact_id: str) -> StoredArtifact:
    """The artifact of that id."""
    row = session.get(ArtifactRow, artifact_id)
    if row is None:
        raise NotFound(f"no artifact {artifact_id!r}")
    return value_of(StoredArtifact, row)


def artifacts_of(session: Session, owner: str) -> list[StoredArtifact]:
    """Artifacts of an owner, by name."""
    query = select(ArtifactRow).where(ArtifactRow.owner == owner).order_by(ArtifactRow.name)
    return [value_of(StoredArtifact, row) for row in session.scalars(query)]


def list_artifacts(
    session: Session, *, owner: str | None = None, cursor: str | None, limit: int
) -> Page[StoredArtifact]:
    """Artifacts, newest first; `owner` also matches the winners of a search."""
    query = select(ArtifactRow)
    if owner is not None:
        query = query.where(
            (ArtifactRow.owner == owner) | ArtifactRow.owner.startswith(f"{owner}-w")
        )
    return page_of(
        session,
        query,
        ArtifactRow.id,
        lambda row: value_of(StoredArtifact, row),
        cursor=cursor,
        limit=limit,
    )


def remove_artifact(session: Session, artifact_id: str) -> None:
    """Delete an artifact; its blob goes with the next garbage collection."""
    row = session.get(ArtifactRow, artifact_id)
    if row is None:
        raise NotFound(f"no artifact {artifact_id!r}")
    if row.kind == SEARCH_SPACE:
        raise Conflict(f"{row.name} is a file of search space {row.owner}, whose searches need it")
    session.delete(row)


def add_measurement(
    session: Session,
    *,
    artifact_id: str,
    target_id: str,
    values: dict[str, Any],
    lineage: dict[str, Any],
) -> None:
    """Store what running an artifact gave."""
    row = MeasurementRow(
        id=new_id("mea"),
        artifact_id=artifact_id,
        target_id=target_id,
        values=values,
        measured_at=str(values["measured_at"]),
        lineage=lineage,
    )
    insert_once(session, row)


def measurements_of(session: Session, artifact_id: str) -> list[dict[str, Any]]:
    """All measurements of an artifact, oldest first."""
    query = (
        select(MeasurementRow)
        .where(MeasurementRow.artifact_id == artifact_id)
        .order_by(MeasurementRow.id)
    )
    return [
        {"id": row.id, "target_id": row.target_id, **row.values} for row in session.scalars(query)
    ]


def collect_garbage(session: Session, blobs: BlobStore, before: datetime | None = None) -> int:
    """Remove blobs that no row names, put `before` then where it is said; returns how many."""
    return blobs.discard(referenced(session), before)


def referenced(session: Session) -> set[str]:
    """Every blob that a row names, of whatever project."""
    if scope_of(session) != SERVICE:
        raise ValueError("what is garbage depends on every project's rows: ask in that scope")
    keep: set[str] = set()
    for column in (
        ArtifactRow.sha256,
        DatasetRow.sha256,
        SupernetRow.sha256,
        PredictorRow.sha256,
        TableRow.sha256,
        CandidateSetRow.sha256,
    ):
        keep.update(sha for sha in session.scalars(select(column)) if sha)
    for source in session.scalars(select(DatasetRow.source)):
        if source.get("sha256"):
            keep.add(source["sha256"])
    return keep
