"""Compressions: a model, a recipe and targets, without any search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.compression_request import (
    SAMPLES,
    CompressionIn,
    parts_of,
    require_targets,
)
from nas_service.api.dependencies import (
    IdempotencyKey,
    Listing,
    Paging,
    With,
    remembered,
)
from nas_service.api.documents.models import ArtifactOut, AskedModel, CompressionReport
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.api.uploads import keep_upload, sent_as
from nas_service.compilation.forms import ENDINGS as FORMS
from nas_service.compilation.uploads.refusal import MAX_BYTES
from nas_service.compression.recipe import Recipe
from nas_service.errors import InvalidSpec, NotFound
from nas_service.jobs.params import CompressionJob
from nas_service.storage import artifacts, jobs
from nas_service.storage.jobs import Job
from nas_service.storage.session import new_id

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["compressions"])

KIND = "compression"


class CompressionOut(CompressionReport):
    """A compression: its job, what was asked for, and rows of what came of it."""

    id: str
    job: JobOut
    request: AskedModel
    artifacts: list[ArtifactOut]


@router.post("/models:upload", status_code=201, openapi_extra=sent_as("application/octet-stream"))
@allow(Rule.WRITE, max_body_bytes=None)
async def upload_model(
    request: Request,
    with_: With,
    filename: Annotated[str, Query(max_length=200, description="Its ending says what it is.")],
) -> ArtifactOut:
    """Store an ONNX file or an exported torch program (.pt2); it is checked before it is used."""
    ending = Path(filename).suffix.lower()
    if ending not in FORMS:
        raise InvalidSpec(
            f"filename: ending {ending!r} is none of {', '.join(FORMS)}", field="filename"
        )
    return await _keep(request, with_, filename, ending, kind="model")


async def _keep(
    request: Request, with_: With, filename: str, ending: str, *, kind: str
) -> ArtifactOut:
    """What is sent as an artifact."""
    limit = min(with_.settings.max_upload_bytes, MAX_BYTES)
    sha256 = await keep_upload(request, with_, ending, limit)

    def keep() -> ArtifactOut:  # reads all of it once more
        with with_.database.session() as session, with_.blobs.local(sha256) as path:
            added = artifacts.add_artifact(
                session,
                with_.blobs,
                path,
                owner=new_id("mdl"),
                name=Path(filename).name,
                kind=kind,
                lineage={},
            )
        return ArtifactOut.of(added)

    return await run_in_threadpool(keep)


@router.post("/samples:upload", status_code=201, openapi_extra=sent_as("application/octet-stream"))
@allow(Rule.WRITE, max_body_bytes=None)
async def upload_samples(
    request: Request,
    with_: With,
    filename: Annotated[str, Query(max_length=200, description="It ends in .npz.")],
) -> ArtifactOut:
    """Store samples of a model's inputs (.npz, arrays by names of inputs); see `compressions`."""
    if Path(filename).suffix.lower() != ".npz":
        raise InvalidSpec(f"filename: {filename!r} does not end in .npz", field="filename")
    return await _keep(request, with_, filename, ".npz", kind=SAMPLES)


@router.post("/compressions", status_code=202)
@allow(Rule.WRITE)
def compress(
    body: CompressionIn, with_: With, response: Response, key: IdempotencyKey = None
) -> Accepted:
    """Compress a model, compile it for each target, compare and measure."""
    recipe = Recipe.of(body.recipe)
    require_targets(body)
    with with_.database.session() as session:
        dataset, device = parts_of(session, body)
        job_id = remembered(session, key, KIND, body, new_id("job"))
        compression_id = f"cmp_{job_id.removeprefix('job_')}"
        given = body.model_dump(
            mode="json", exclude={"model", "recipe", "dataset", "device", "priority"}
        )
        params = CompressionJob(
            **given,
            artifact=body.model,
            recipe=recipe.as_list(),
            compression_id=compression_id,
            dataset=None if dataset is None else dataset.name,
            dataset_id=None if dataset is None else dataset.id,
            device=device.name,
            device_id=device.id,
            device_queue=device.queue,
        )
        job = with_.add_job(
            session,
            job_id,
            KIND,
            subject=compression_id,
            params=params.as_dict(),
            priority=body.priority,
        )
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=job.subject, href=f"/v1/compressions/{job.subject}", job=JobOut.of(job))


@router.get("/compressions")
@allow(Rule.READ)
def list_compressions(with_: With, page: Paging) -> Listing[JobOut]:
    """Jobs of compressions, newest first; `subject` is the compression."""
    with with_.database.session() as session:
        found = jobs.list_jobs(session, kind=KIND, cursor=page.cursor, limit=page.limit)
    return Listing(items=[JobOut.of(job) for job in found.items], next_cursor=found.next_cursor)


@router.get("/compressions/{compression_id}")
@allow(Rule.READ)
def get_compression(compression_id: str, with_: With) -> CompressionOut:
    """One compression with its rows and files."""
    with with_.database.session() as session:
        job = job_of(session, compression_id)
        files = artifacts.artifacts_of(session, compression_id)
    reports = [with_.document(one.sha256) for one in files if one.name == "report.json"]
    hidden = {
        "device_queue",
        "remote",
        "settings",
        "job_id",
        "compression_id",
        "dataset_id",
        "device_id",
    }
    hidden |= {"again"}
    request = {k: v for k, v in job.params.items() if k not in hidden}
    return CompressionOut.model_validate(
        {
            **(reports[0] if reports else {}),
            "id": compression_id,
            "job": JobOut.of(job),
            "request": request,
            "artifacts": files,
        }
    )


def job_of(session: Session, compression_id: str) -> Job:
    """The job that a compression is; `NotFound` where there is none of that id."""
    found = jobs.list_jobs(session, subject=compression_id, kind=KIND, cursor=None, limit=1).items
    if not found:
        raise NotFound(f"no compression {compression_id!r}")
    return found[0]
