"""Data sets: built in, from a path on the server, or uploaded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, model_validator
from starlette.concurrency import run_in_threadpool

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import (
    IdempotencyKey,
    Listing,
    Paging,
    Services,
    Strict,
    With,
    listing_of,
    remembered,
)
from nas_service.api.documents.datasets import DatasetOut, Report
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.api.uploads import UNFINISHED, keep_upload, plain_name, received, sent_as
from nas_service.datasets import archives
from nas_service.datasets.answers import MAX_SIZE, MIN_SIZE, Answers, parse
from nas_service.datasets.inspection import inspect
from nas_service.errors import InvalidSpec, NotFound
from nas_service.jobs.params import DatasetJob
from nas_service.learning.registry import DEFAULT, learning_task
from nas_service.plugins import LEARNING_TASKS, check
from nas_service.storage import artifacts, datasets, jobs
from nas_service.storage.session import new_id

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["data sets"])
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ENDINGS = (*archives.ENDINGS, ".npz", ".parquet", ".csv")
FileName = Annotated[
    str, Field(min_length=1, max_length=200, description="Its ending says what it is.")
]


class AnswersIn(Strict):
    """How a source is to be read, where it can be read in more than one way."""

    image_size: int | None = Field(
        default=None,
        ge=MIN_SIZE,
        le=MAX_SIZE,
        description="Pixels a side; their median, up to 224.",
    )
    layout: Literal["folders", "table", "parquet", "arrays"] | None = None
    split: str | None = Field(
        default=None,
        max_length=2000,
        description="NAME=PART, joined by commas: what part a folder, file or value is (train, "
        "validation, test, ignore); or `draw`.",
    )
    classes: Literal["leaf", "top", "groups", "path", "flat"] | None = Field(
        default=None, description="What the class is where class folders lie in folders."
    )
    background: str | None = Field(
        default=None, max_length=32, description="Colour below alpha; white unless given."
    )
    value_range: str | None = Field(
        default=None, max_length=64, description="LOW,HIGH: black and white beyond 8 bits."
    )
    allow_unreadable: str | None = Field(
        default=None, max_length=16, description="Share of pictures that may be unreadable: 1%."
    )
    image_column: str | None = Field(default=None, max_length=200)
    label_column: str | None = Field(default=None, max_length=200)
    group_column: str | None = Field(
        default=None, max_length=200, description="Pictures with equal values stay on one side."
    )

    teacher: str | None = Field(
        default=None,
        max_length=64,
        description="Of imitation: artifact of the uploaded program whose answers are learned.",
    )
    time_column: str | None = Field(
        default=None, max_length=200, description="Of signals: seconds, or timestamps."
    )
    window: int | None = Field(
        default=None, ge=8, le=65536, description="Of signals in tables: steps of a window."
    )
    hop: int | None = Field(
        default=None, ge=1, le=65536, description="Steps to the next window; a window unless given."
    )
    normal: str | None = Field(
        default=None,
        max_length=200,
        description="Of anomaly detection: the label of windows that are normal.",
    )

    def given(self) -> dict[str, Any]:
        """What was answered, by name."""
        return self.model_dump(include=set(AnswersIn.model_fields), exclude_none=True)

    def parsed(self) -> Answers:
        """As a value, of pictures; text that cannot be is refused."""
        return parse(self.given())


class SourceIn(AnswersIn):
    """Something at a path on the server."""

    path: str


class FileIn(AnswersIn):
    """A file that is sent, as query parameters."""

    filename: FileName


TaskName = Annotated[
    str, Field(max_length=64, description="The learning task that networks are taught on it.")
]


class UploadIn(FileIn):
    """A file that is sent to become a data set."""

    name: Name
    task: TaskName = DEFAULT


class DatasetIn(AnswersIn):
    """A data set that is built in, or at a path on the server."""

    name: Name
    task: TaskName = DEFAULT
    builtin: Literal["digits"] | None = None
    path: str | None = None

    @model_validator(mode="after")
    def one_of(self) -> DatasetIn:
        """Exactly one source."""
        if (self.builtin is None) == (self.path is None):
            raise ValueError("give either builtin or path")
        return self


@router.post("/datasets", status_code=202)
@allow(Rule.WRITE)
def register(
    body: DatasetIn, with_: With, response: Response, key: IdempotencyKey = None
) -> Accepted:
    """Import a built-in data set, or one below the folders that NAS_DATA_ROOTS names."""
    check(LEARNING_TASKS, body.task)
    answered = learning_task(body.task).answers(body.given())
    _require_teacher(with_, answered)
    if body.builtin:
        if answered:
            raise InvalidSpec("a built-in data set is read in one way", field="builtin")
        source: dict[str, Any] = {"builtin": body.builtin}
    else:
        path = str(_allowed(with_, body.path or ""))
        source = {"path": path, "answers": answered, **_task(body.task)}
    return _import(with_, response, body.name, source, key)


@router.post("/datasets:inspect")
@allow(Rule.WRITE)
def look_at(body: SourceIn, with_: With) -> Report:
    """What an import would understand of a path on the server: the report, with its questions."""
    path = _allowed(with_, body.path)
    found = inspect(path, body.parsed(), within=with_.settings.roots).report
    return Report.model_validate(found.as_dict())


@router.post("/datasets:inspect-upload", openapi_extra=sent_as("application/octet-stream"))
@allow(Rule.WRITE, max_body_bytes=None)
async def look_at_upload(
    request: Request,
    with_: With,
    query: Annotated[FileIn, Query()],
) -> Report:
    """The same for a file that is sent; nothing of it is kept."""
    ending = _ending(query.filename)
    given = query.parsed()
    name = plain_name(query.filename, ending)
    async with received(request, with_, ending, with_.settings.max_upload_bytes) as file:
        return await run_in_threadpool(_looked_at, file, name, given)


@router.post("/datasets:upload", status_code=202, openapi_extra=sent_as("application/octet-stream"))
@allow(Rule.WRITE, max_body_bytes=None)
async def upload(
    request: Request,
    with_: With,
    response: Response,
    query: Annotated[UploadIn, Query()],
    key: IdempotencyKey = None,
) -> Accepted:
    """Import an uploaded file: an archive of folders or tables, an .npz, a .parquet, a .csv."""
    ending = _ending(query.filename)
    check(LEARNING_TASKS, query.task)
    given = learning_task(query.task).answers(query.given())
    _require_teacher(with_, given)
    if key is None:  # said before gigabytes are sent
        with with_.database.session() as session:
            datasets.require_free(session, query.name)
    sha256 = await keep_upload(request, with_, ending, with_.settings.max_upload_bytes)
    name = plain_name(query.filename, ending)
    source = {"sha256": sha256, "filename": name, "answers": given}
    source |= _task(query.task)
    return await run_in_threadpool(_import, with_, response, query.name, source, key)


@router.get("/datasets")
@allow(Rule.READ)
def list_datasets(with_: With, page: Paging) -> Listing[DatasetOut]:
    """Data sets, newest first."""
    with with_.database.session() as session:
        found = datasets.list_datasets(session, cursor=page.cursor, limit=page.limit)
    return listing_of(found, DatasetOut.of)


@router.get("/datasets/{name}")
@allow(Rule.READ)
def get_dataset(name: str, with_: With) -> DatasetOut:
    """One data set, by name or id; it has a digest once it is imported."""
    with with_.database.session() as session:
        return DatasetOut.of(datasets.get_dataset(session, name))


@router.get("/datasets/{name}/preview", response_class=Response)
@allow(Rule.READ)
def preview(name: str, with_: With) -> Response:
    """Some of its samples as a picture (PNG): of images a row a class."""
    with with_.database.session() as session:
        dataset = datasets.get_dataset(session, name)
        kept = {one.name: one for one in artifacts.artifacts_of(session, dataset.id)}
    found = kept.get(datasets.PREVIEW)
    if found is None:
        raise NotFound(f"data set {name!r} has no picture of its samples")
    with with_.blobs.open(found.sha256) as stream:
        content = stream.read()
    return Response(content, media_type="image/png", headers={"ETag": f'"{found.sha256}"'})


def _task(name: str) -> dict[str, str]:
    """What a source says of its task: nothing of the one that needs no name."""
    return {} if name == DEFAULT else {"task": name}


def _ending(filename: str) -> str:
    """The ending of a file's name, one that can be imported."""
    lower = filename.lower()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if lower.endswith(ending):
            return ending
    raise InvalidSpec(
        f"filename: {filename!r} ends in none of {', '.join(ENDINGS)}", field="filename"
    )


def _looked_at(file: Path, name: str, answered: Answers) -> Report:
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=UNFINISHED) as folder:
        named = Path(folder, name)
        named.symlink_to(file)  # messages on it have its own name
        unpacked = archives.unpack(named, Path(folder, "unpacked"))
        found = inspect(unpacked, answered, within=[file.parent]).report
        return Report.model_validate(found.as_dict())


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
            params = DatasetJob(dataset_id=stored.id).as_dict()
            job = with_.add_job(session, job_id, "dataset", subject=stored.id, params=params)
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=job.subject, href=f"/v1/datasets/{name}", job=JobOut.of(job))


def _require_teacher(with_: Services, answers: Mapping[str, Any]) -> None:
    """Raise where the model whose answers are learned is none that was uploaded."""
    teacher = answers.get("teacher")
    if teacher is None:
        return
    with with_.database.session() as session:
        if artifacts.get_artifact(session, str(teacher)).kind != "model":
            raise InvalidSpec(f"artifact {teacher!r} is no uploaded model", field="teacher")
