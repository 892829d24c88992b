"""Artifacts: list, download, delete, collect garbage."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, With, listing_of
from nas_service.api.documents.models import (
    ArtifactOut,
    ArtifactWithMeasurements,
    FileMeasurement,
)
from nas_service.api.idempotency import RepeatableRoute
from nas_service.storage import artifacts
from nas_service.storage.held_files import files_held
from nas_service.storage.retention import unused_before
from nas_service.storage.scope import SERVICE

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["artifacts"])


class Collected(BaseModel):
    """How many blobs nothing spoke of any more."""

    n_removed: int
    before: datetime = Field(description="Those alone that were last stored before then.")


@router.get("/artifacts")
@allow(Rule.READ)
def list_artifacts(
    with_: With,
    page: Paging,
    owner: Annotated[str | None, Query(description="A search or a winner.")] = None,
) -> Listing[ArtifactOut]:
    """Artifacts, newest first."""
    with with_.database.session() as session:
        found = artifacts.list_artifacts(session, owner=owner, cursor=page.cursor, limit=page.limit)
    return listing_of(found, ArtifactOut.of)


@router.get("/artifacts/{artifact_id}")
@allow(Rule.READ)
def get_artifact(artifact_id: str, with_: With) -> ArtifactWithMeasurements:
    """One artifact with its lineage and measurements."""
    with with_.database.session() as session:
        found = artifacts.get_artifact(session, artifact_id)
        measured = artifacts.measurements_of(session, artifact_id)
    told = ArtifactWithMeasurements.of(found)
    told.measurements = [FileMeasurement.model_validate(one) for one in measured]
    return told


@router.get("/artifacts/{artifact_id}/content", response_class=FileResponse)
@allow(Rule.READ)
def content(artifact_id: str, with_: With) -> Response:
    """The file."""
    with with_.database.session() as session:
        found = artifacts.get_artifact(session, artifact_id)
    with with_.blobs.local(found.sha256) as path:
        return FileResponse(
            path,
            filename=found.name,
            media_type="application/octet-stream",
            headers={"ETag": f'"{found.sha256}"'},
        )


@router.delete("/artifacts/{artifact_id}", status_code=204)
@allow(Rule.WRITE)
def delete(artifact_id: str, with_: With) -> None:
    """Delete an artifact; its bytes go with the next garbage collection."""
    with with_.database.session() as session:
        artifacts.remove_artifact(session, artifact_id)


@router.post("/artifacts:collect-garbage")
@allow(Rule.OPERATOR)
def collect(with_: With) -> Collected:
    """Remove the bytes that nothing speaks of.

    What was stored within the last minute stays, and while jobs wait or run what was stored since
    an hour before the oldest of them: bytes are written first and spoken of later.
    """
    with (
        files_held(with_.settings, "collecting garbage"),
        with_.database.of(SERVICE).session() as session,
    ):
        before = unused_before(session)
        n_removed = artifacts.collect_garbage(session, with_.blobs, before)
    return Collected(n_removed=n_removed, before=before)
