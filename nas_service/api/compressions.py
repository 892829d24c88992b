"""Compressions: a model, a recipe and targets, without any search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, model_validator
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import (
    PRIORITY,
    IdempotencyKey,
    Listing,
    Paging,
    Strict,
    With,
    remembered,
)
from nas_service.api.documents.base import Own
from nas_service.api.documents.models import ArtifactOut, AskedModel, CompressionReport
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.api.uploads import keep_upload, sent_as
from nas_service.compilation.forms import ENDINGS as FORMS
from nas_service.compilation.forms import ONNX, why_not_read
from nas_service.compilation.uploads.refusal import MAX_BYTES
from nas_service.compression.on_uploads import require_takes
from nas_service.compression.recipe import Recipe
from nas_service.errors import InvalidSpec, NotFound
from nas_service.jobs.params import CompressionJob
from nas_service.learning.augmentations import require_augments
from nas_service.networks.names import REFERENCE_NETWORKS
from nas_service.output_metrics.by_name import require_metric
from nas_service.plugins import CONVERTERS, check, load
from nas_service.storage import agents, artifacts, datasets, devices, jobs, searches
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.devices import StoredDevice
from nas_service.storage.fair_queueing import Priority
from nas_service.storage.jobs import Job
from nas_service.storage.session import new_id

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["compressions"])

KIND = "compression"
SAMPLES = "recorded_samples"
"""The kind of uploaded samples of a model's inputs."""


class ReferenceNetworkIn(Strict):
    """A reference network, to be trained on the data set first."""

    name: str
    width: float = Field(default=1.0, ge=0.05, le=4)
    size: int | None = Field(default=None, ge=16, le=512)
    epochs: int = Field(default=10, ge=1, le=1000)
    batch: int = Field(default=64, ge=4, le=4096)
    learning_rate: float = Field(default=0.1, gt=0, le=10)
    flip: bool = False


class TargetIn(Strict):
    """A runtime and a precision."""

    runtime: str
    precision: str


class CompressionIn(Strict):
    """One of `model` (an upload), `winner` and `reference` says what is compressed.

    What it is judged on is a data set, or, for an upload of any inputs and outputs, `samples` of
    its own.
    """

    dataset: str | None = None
    samples: list[str] = Field(
        default_factory=list,
        max_length=32,
        description="Artifacts of uploaded samples by the names of the model's inputs.",
    )
    test: list[str] = Field(
        default_factory=list,
        max_length=32,
        description="The same, to judge by; a part of the samples where there are none.",
    )
    metric: str = Field(
        default="fidelity",
        max_length=200,
        description="By which a model with samples is judged: NAME, or NAME:OUTPUT.",
    )
    keep_float: list[str] = Field(
        default_factory=list, max_length=1000, description="Layers that stay in float."
    )
    device: str = "this-machine"
    model: str | None = Field(default=None, description="Artifact of an uploaded model.")
    shape: tuple[int, int, int] | None = Field(
        default=None,
        description="Channels, height and width for a graph whose sizes are open.",
    )
    winner: str | None = Field(default=None, description="Winner of a search.")
    reference: ReferenceNetworkIn | None = None
    recipe: list[str | dict[str, Own]] = Field(default_factory=list, max_length=20)
    targets: list[TargetIn] = Field(
        default=[TargetIn(runtime="onnxruntime", precision="int8")], min_length=1, max_length=20
    )
    max_loss: float = Field(default=0.01, ge=0, le=1, description="Accuracy that may be lost.")
    speedup_share: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Of the speed-up that pruned MACs promise, what has to be measured.",
    )
    mean: list[float] | None = Field(default=None, description="Of pixels from 0 to 1.")
    std: list[float] | None = None
    max_train_images: int | None = Field(default=None, ge=8)
    max_test_images: int = Field(default=1000, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0, lt=2**31)
    priority: Priority = Field(default="normal", description=PRIORITY)

    @model_validator(mode="after")
    def one_of(self) -> CompressionIn:
        """Exactly one model, and both or neither of mean and std."""
        if sum(one is not None for one in (self.model, self.winner, self.reference)) != 1:
            raise ValueError("give one of model, winner and reference")
        if (self.dataset is None) == (not self.samples):
            raise ValueError("give one of dataset and samples")
        if self.samples and self.model is None:
            raise ValueError("samples go with model")
        if self.samples and (self.shape or self.mean or self.max_train_images):
            raise ValueError("shape, mean, std and max_train_images go with dataset")
        if not self.samples and (self.test or self.keep_float):
            raise ValueError("test and keep_float go with samples")
        if self.shape is not None and (self.model is None or min(self.shape) < 1):
            raise ValueError("shape goes with model, in positive numbers")
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both or neither of mean and std")
        if self.std is not None and not all(one > 0 for one in self.std):
            raise ValueError("std has to be positive")
        return self


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
    _check_targets(body)
    with with_.database.session() as session:
        dataset, device = _parts(session, body)
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


def _check_targets(body: CompressionIn) -> None:
    seen = set()
    for place, one in enumerate(body.targets):
        check(CONVERTERS, one.runtime)
        known = load(CONVERTERS, one.runtime).precisions
        if one.precision not in known:
            raise InvalidSpec(
                f"targets[{place}]: {one.runtime} makes {', '.join(known)}, not {one.precision!r}",
                field="targets",
            )
        if (one.runtime, one.precision) in seen:
            raise InvalidSpec(
                f"targets[{place}]: {one.runtime} {one.precision} is there twice", field="targets"
            )
        seen.add((one.runtime, one.precision))


def _check_model(model: StoredArtifact, body: CompressionIn) -> None:
    if model.kind != "model":
        raise InvalidSpec(f"artifact {model.id!r} is no uploaded model", field="model")
    # with samples of its own, a program's graph is what is compressed
    form = ONNX if body.samples else FORMS[Path(model.name).suffix.lower()]
    require_takes(Recipe.of(body.recipe), is_graph=form == ONNX)
    for place, one in enumerate(body.targets):
        converter = load(CONVERTERS, one.runtime)
        why = why_not_read(converter.form, form)
        if body.samples and not converter.any_signature:
            why = why or "is given models of one input and one output alone"
        if why:
            raise InvalidSpec(f"targets[{place}]: {one.runtime} {why}", field="targets")


def _check_samples(session: Session, body: CompressionIn, device: StoredDevice) -> None:
    """Refuse what is no samples, a metric that there is not, and devices that are sent to."""
    require_metric(body.metric)
    for field, given in (("samples", body.samples), ("test", body.test)):
        for one in given:
            stored = artifacts.get_artifact(session, one)
            if stored.kind != SAMPLES:
                raise InvalidSpec(f"artifact {one!r} is no uploaded samples", field=field)
    agent = None if device.machine is not None else agents.get_agent(session, device.id)
    if agent is not None and not agents.understands(agent, agents.RECORDED):
        raise InvalidSpec(
            f"the agent of device {device.name!r} is of an earlier version, which knows models of "
            "one input alone: have it run the agent.pyz of this service",
            field="device",
        )


def _parts(session: Session, body: CompressionIn) -> tuple[StoredDataset | None, StoredDevice]:
    """The data set and the device; raises where something that is named cannot take part."""
    dataset = None if body.dataset is None else datasets.get_dataset(session, body.dataset)
    if dataset is not None and not dataset.ready:
        raise InvalidSpec(f"data set {dataset.name!r} is not imported yet", field="dataset")
    if dataset is not None and Recipe.of(body.recipe).augments:
        require_augments(dataset.task.name, dataset.task.label, field="augment")
    device = devices.get_device(session, body.device)
    if why := agents.why_unmeasured(session, device):
        raise InvalidSpec(why, field="device")
    if body.samples:
        _check_samples(session, body, device)
    if body.model is not None:
        _check_model(artifacts.get_artifact(session, body.model), body)
    if body.winner is not None:
        searches.get_winner(session, body.winner)
    if body.reference is not None and body.reference.name not in REFERENCE_NETWORKS:
        raise InvalidSpec(
            f"no reference network {body.reference.name!r}; known: {', '.join(REFERENCE_NETWORKS)}",
            field="reference",
        )
    return dataset, device
