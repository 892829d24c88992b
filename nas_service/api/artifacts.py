"""Artifacts: list, download, delete, collect garbage."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, With, listing
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import Conflict
from nas_service.storage import artifacts, jobs
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.scope import SERVICE

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["artifacts"])


class Collected(BaseModel):
    """How many blobs nothing spoke of any more."""

    n_removed: int


@router.get("/artifacts")
@allow(Rule.READ)
def list_artifacts(
    with_: With,
    page: Paging,
    owner: Annotated[str | None, Query(description="A search or a winner.")] = None,
) -> Listing[StoredArtifact]:
    """Artifacts, newest first."""
    with with_.database.session() as session:
        return listing(
            artifacts.list_artifacts(session, owner=owner, cursor=page.cursor, limit=page.limit)
        )


@router.get("/artifacts/{artifact_id}")
@allow(Rule.READ)
def get_artifact(artifact_id: str, with_: With) -> dict[str, Any]:
    """One artifact with its lineage and measurements."""
    with with_.database.session() as session:
        found = artifacts.get_artifact(session, artifact_id)
        measured = artifacts.measurements_of(session, artifact_id)
    return {
        "id": found.id,
        "owner": found.owner,
        "name": found.name,
        "kind": found.kind,
        "sha256": found.sha256,
        "size_bytes": found.size_bytes,
        "lineage": found.lineage,
        "created_at": found.created_at,
        "measurements": measured,
    }


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
    """Remove the bytes that nothing speaks of; refused while jobs run, which write such bytes."""
    with with_.database.of(SERVICE).session() as session:
        if jobs.unfinished(session):
            raise Conflict("jobs are at work; collect garbage when they have ended")
        return Collected(n_removed=artifacts.collect_garbage(session, with_.blobs))
