"""Data sets: built in, from a path on the server, or uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, model_validator
from starlette.concurrency import run_in_threadpool

from nas_service.api.dependencies import (
    IdempotencyKey,
    Listing,
    Paging,
    Services,
    Strict,
    With,
    listing,
    remembered,
)
from nas_service.api.schemas import Accepted, JobOut
from nas_service.api.uploads import keep_upload
from nas_service.errors import InvalidSpec
from nas_service.storage import datasets, jobs
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.session import new_id

router = APIRouter(prefix="/v1", tags=["data sets"])
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ENDINGS = (".zip", ".npz", ".parquet")


class DatasetIn(Strict):
    """A data set that is built in, or at a path on the server."""

    name: Name
    builtin: Literal["digits"] | None = None
    path: str | None = None
    image_size: int | None = Field(default=None, ge=8, le=224)

    @model_validator(mode="after")
    def one_of(self) -> DatasetIn:
        """Exactly one source."""
        if (self.builtin is None) == (self.path is None):
            raise ValueError("give either builtin or path")
        return self


@router.post("/datasets", status_code=202)
def register(
    body: DatasetIn, with_: With, response: Response, key: IdempotencyKey = None
) -> Accepted:
    """Import a built-in data set, or one below the folders that NAS_DATA_ROOTS names."""
    source: dict[str, Any] = {"image_size": body.image_size}
    if body.builtin:
        source["builtin"] = body.builtin
    else:
        source["path"] = str(_allowed(with_, body.path or ""))
    return _import(with_, response, body.name, source, key)


@router.post("/datasets:upload", status_code=202)
async def upload(
    request: Request,
    with_: With,
    response: Response,
    name: Annotated[str, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")],
    filename: Annotated[str, Query(max_length=200, description="Its ending says what it is.")],
    image_size: Annotated[int | None, Query(ge=8, le=224)] = None,
    key: IdempotencyKey = None,
) -> Accepted:
    """Import an uploaded file: a zip of class folders or Parquet files, an .npz, a .parquet."""
    ending = Path(filename).suffix.lower()
    if ending not in ENDINGS:
        raise InvalidSpec(
            f"filename: ending {ending!r} is none of {', '.join(ENDINGS)}", field="filename"
        )
    if key is None:  # said before gigabytes are sent
        with with_.database.session() as session:
            datasets.require_free(session, name)
    sha256 = await keep_upload(request, with_, ending, with_.settings.max_upload_bytes)
    source = {"sha256": sha256, "filename": f"upload{ending}", "image_size": image_size}
    return await run_in_threadpool(_import, with_, response, name, source, key)


@router.get("/datasets")
def list_datasets(with_: With, page: Paging) -> Listing[StoredDataset]:
    """Data sets, newest first."""
    with with_.database.session() as session:
        return listing(datasets.list_datasets(session, cursor=page.cursor, limit=page.limit))


@router.get("/datasets/{name}")
def get_dataset(name: str, with_: With) -> StoredDataset:
    """One data set, by name or id; it has a digest once it is imported."""
    with with_.database.session() as session:
        return datasets.get_dataset(session, name)


def _allowed(with_: Services, path: str) -> Path:
    try:
        wanted = Path(path).resolve()
        wanted.exists()
    except (ValueError, OSError) as error:
        raise InvalidSpec(f"path: {path[:100]!r} cannot be: {error}", field="path") from error
    roots = with_.settings.roots
    if not any(wanted.is_relative_to(root) for root in roots):
        known = ", ".join(map(str, roots)) or "none; set NAS_DATA_ROOTS"
        raise InvalidSpec(f"path: {path!r} is not below an allowed folder ({known})", field="path")
    if not wanted.exists():
        raise InvalidSpec(f"path: {path!r} does not exist", field="path")
    return wanted


def _import(
    with_: Services, response: Response, name: str, source: dict[str, Any], key: str | None
) -> Accepted:
    with with_.database.session() as session:
        job_id = new_id("job")
        first = remembered(session, key, "dataset", (name, source), job_id)
        if first != job_id:
            job = jobs.get_job(session, first)  # its data set is gone where it could not be read
        else:
            stored = datasets.add_dataset(session, name, source)
            params = {"dataset_id": stored.id}
            job = jobs.add_job(session, job_id, "dataset", subject=stored.id, params=params)
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=job.subject, href=f"/v1/datasets/{name}", job=JobOut.of(job))
