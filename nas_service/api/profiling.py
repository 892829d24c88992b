"""How tables of a device come to be: profiling, the offline kit, a look for drift."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field, model_validator
from sqlalchemy.orm import Session

from lookup_tables.target import PLAIN_RUNTIME, Deployment
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import IdempotencyKey, Services, Strict, With, remembered
from nas_service.api.deployments import check_deployments
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.errors import Conflict, InvalidSpec
from nas_service.jobs.params import DriftJob, KitImportJob, KitJob, ProfileJob
from nas_service.learning.registry import required_sample
from nas_service.space.base import Sample
from nas_service.space.elastic.space import ElasticSpace
from nas_service.storage import agents, artifacts, datasets, devices
from nas_service.storage.blobs import BlobStore
from nas_service.storage.devices import StoredDevice
from nas_service.storage.jobs import Job
from nas_service.storage.session import new_id
from nas_service.storage.spaces import open_space

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["devices"])


class ImageIn(Strict):
    """Shape of images and number of classes."""

    size: int = Field(ge=8, le=512)
    channels: Literal[1, 3] = 3
    n_classes: int = Field(default=10, ge=2, le=100_000)


class ProfileIn(Strict):
    """What to profile: the blocks of a space for the images of a data set, or for given ones."""

    space: str
    dataset: str | None = None
    image: ImageIn | None = None
    precisions: tuple[str, ...] = Field(
        default=("fp32", "int8"),
        min_length=1,
        max_length=6,
        description="A precision on ONNX Runtime, or RUNTIME:PRECISION, as openvino:bf16.",
    )
    profile_budget_s: float = Field(default=60.0, ge=5, le=3600)
    networks: int | None = Field(
        default=None,
        ge=5,
        le=100,
        description="Measure so many whole networks and no blocks: their costs are transferred "
        "from other devices' tables. For devices on which a measurement takes long.",
    )
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def one_of(self) -> ProfileIn:
        """Exactly one of data set and image says what enters the networks."""
        if (self.dataset is None) == (self.image is None):
            raise ValueError("give either dataset or image")
        check_deployments(self.precisions, converted=self.networks is not None)
        return self


class KitResultsIn(Strict):
    """A filled kit: the CSV's text, and the runtime that was used."""

    kit: str = Field(description="Artifact of the kit.")
    results: str = Field(max_length=4 * 1024**2, description="CSV: name, p50_ms, ...")
    runtime_version: str = Field(min_length=1, max_length=40)


@router.post("/devices/{name}:make-kit", status_code=202)
@allow(Rule.WRITE)
def make_kit(
    name: Annotated[str, Path()], body: ProfileIn, with_: With, response: Response
) -> Accepted:
    """Pack what an offline device is to measure; the kit becomes an artifact of the device."""
    if any(Deployment.parse(one).runtime != PLAIN_RUNTIME for one in body.precisions):
        raise InvalidSpec(
            "precisions: a kit measures with onnxruntime_perf_test, so on ONNX Runtime alone",
            field="precisions",
        )
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        job = with_.add_job(
            session,
            new_id("job"),
            "make_kit",
            subject=device.id,
            params=KitJob(
                device_id=device.id,
                space=body.space,
                sample=_named(_sample(session, with_.blobs, body)),
                precisions=list(body.precisions),
                seed=body.seed,
            ).as_dict(),
        )
    return _started(with_, response, device, job, f"/v1/artifacts?owner={device.id}")


@router.post("/devices/{name}:import-kit", status_code=202)
@allow(Rule.WRITE)
def import_kit(
    name: Annotated[str, Path()], body: KitResultsIn, with_: With, response: Response
) -> Accepted:
    """Make tables of a filled kit, of all of it or, with what is missing named, of nothing."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        kit = artifacts.get_artifact(session, body.kit)
        if kit.kind != "kit" or kit.owner != device.id:
            raise InvalidSpec(f"artifact {kit.id!r} is no kit of device {name!r}", field="kit")
        job = with_.add_job(
            session,
            new_id("job"),
            "import_kit",
            subject=device.id,
            params=KitImportJob(
                device_id=device.id,
                kit=kit.lineage["kit"],
                results=body.results,
                runtime_version=body.runtime_version,
            ).as_dict(),
        )
    return _started(with_, response, device, job, f"/v1/devices/{device.name}")


class DriftIn(Strict):
    """How to look for drift, and how long to profile where there is some."""

    profile_budget_s: float = Field(default=60.0, ge=5, le=3600)
    seed: int = Field(default=0, ge=0, lt=2**31)


@router.post("/devices/{name}:check-drift", status_code=202)
@allow(Rule.WRITE)
def check_drift(
    name: Annotated[str, Path()], body: DriftIn, with_: With, response: Response
) -> Accepted:
    """Measure a few networks again; a device that has moved is profiled anew."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        if why := agents.why_unmeasured(session, device):
            raise Conflict(f"{why}, or upload tables measured on it", field="name")
        job = with_.add_job(
            session,
            new_id("job"),
            "drift",
            subject=device.id,
            params=DriftJob(
                device_id=device.id,
                budget_s=body.profile_budget_s,
                seed=body.seed,
                device_queue=device.queue,
            ).as_dict(),
        )
    return _started(with_, response, device, job, f"/v1/devices/{device.name}")


def _started(
    with_: Services, response: Response, device: StoredDevice, job: Job, href: str
) -> Accepted:
    """Hand a job to the engine; `href` is where its result will be."""
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=device.id, href=href, job=JobOut.of(job))


def _sample(session: Session, blobs: BlobStore, body: ProfileIn) -> Sample:
    """What to profile for; raises where the space cannot take it."""
    if body.image is not None:
        sample = required_sample({"image": body.image.model_dump()})
    else:
        dataset = datasets.get_dataset(session, body.dataset or "")
        if not dataset.ready:
            raise InvalidSpec(f"data set {dataset.name!r} is not imported yet", field="dataset")
        sample = dataset.sample
    space = open_space(session, blobs, body.space, sample)
    if isinstance(space, ElasticSpace):
        space.description.require_fits(sample)
    return sample


def _named(sample: Sample) -> dict[str, dict[str, int]]:
    return {sample.name: sample.as_dict()}


@router.post("/devices/{name}:profile", status_code=202)
@allow(Rule.WRITE)
def profile(
    name: Annotated[str, Path()],
    body: ProfileIn,
    with_: With,
    response: Response,
    key: IdempotencyKey = None,
) -> Accepted:
    """Measure blocks and networks of a space on a device and make lookup tables of them."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        if why := agents.why_unmeasured(session, device):
            raise Conflict(f"{why}, or upload tables measured on it", field="name")
        sample = _sample(session, with_.blobs, body)
        job_id = remembered(session, key, "profile", (name, body), new_id("job"))
        job = with_.add_job(
            session,
            job_id,
            "profile",
            subject=device.id,
            params=ProfileJob(
                device_id=device.id,
                space=body.space,
                sample=_named(sample),
                precisions=list(body.precisions),
                budget_s=body.profile_budget_s,
                networks=body.networks,
                seed=body.seed,
                device_queue=device.queue,
            ).as_dict(),
        )
    return _started(with_, response, device, job, f"/v1/devices/{device.name}")
