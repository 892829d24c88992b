"""Devices, their targets, and profiling."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, model_validator
from sqlalchemy.orm import Session

from lookup_tables.target import PRECISIONS, Device, Target, this_device
from nas_service.api.dependencies import (
    IdempotencyKey,
    Listing,
    Paging,
    Strict,
    With,
    listing,
    remembered,
)
from nas_service.api.schemas import Accepted, JobOut
from nas_service.errors import InvalidSpec, Unsupported
from nas_service.plugins import SPACES, load
from nas_service.space.base import ImageShape
from nas_service.storage import agents, artifacts, datasets, devices, jobs
from nas_service.storage.devices import StoredDevice, StoredTarget
from nas_service.storage.session import new_id

router = APIRouter(prefix="/v1", tags=["devices"])
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class DeviceIn(Strict):
    """A device: this machine, read from its operating system, or another one as described."""

    name: Name
    this_machine: bool = False
    kind: Literal["cpu", "gpu", "npu", "mcu", "phone", "board"] = "cpu"
    model: str | None = Field(default=None, max_length=200)
    n_cores: int | None = Field(default=None, ge=1)
    memory_bytes: int | None = Field(default=None, ge=1)
    instruction_sets: tuple[str, ...] = ()
    peak_macs_per_s: float | None = Field(default=None, gt=0, lt=1e18)
    bandwidth_bytes_per_s: float | None = Field(default=None, gt=0, lt=1e18)
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)

    def to_device(self) -> Device:
        """The device."""
        if self.this_machine:
            here = this_device(self.name)
            return replace(here, labels={**here.labels, **self.labels})
        return Device(
            self.name,
            self.kind,
            self.model,
            self.n_cores,
            self.memory_bytes,
            self.instruction_sets,
            peak_macs_per_s=self.peak_macs_per_s,
            bandwidth_bytes_per_s=self.bandwidth_bytes_per_s,
            labels=self.labels,
        )


class TokenOut(BaseModel):
    """An agent's token, shown this once, and the command to give it to."""

    device: str
    token: str
    command: str


class DeviceOut(BaseModel):
    """A device, and its agent where it has one."""

    id: str
    name: str
    facts: dict[str, Any]
    local: bool
    lineage: dict[str, Any]
    created_at: datetime
    agent: dict[str, Any] | None


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
    precisions: tuple[Literal["fp32", "int8"], ...] = Field(
        default=("fp32", "int8"), min_length=1, max_length=2
    )
    profile_budget_s: float = Field(default=60.0, ge=5, le=3600)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def one_of(self) -> ProfileIn:
        """Exactly one of data set and image says what enters the networks."""
        if (self.dataset is None) == (self.image is None):
            raise ValueError("give either dataset or image")
        return self


@router.post("/devices", status_code=201)
def register(body: DeviceIn, with_: With, response: Response) -> StoredDevice:
    """Register a device; this machine comes with ONNX Runtime targets in fp32 and int8."""
    with with_.database.session() as session:
        added = devices.add_device(session, body.to_device(), local=body.this_machine)
        if body.this_machine:
            for precision in PRECISIONS:
                target = Target(added.name, "onnxruntime", version("onnxruntime"), precision)
                devices.add_target(session, added.id, target)
    response.headers["Location"] = f"/v1/devices/{added.name}"
    return added


@router.get("/devices")
def list_devices(with_: With, page: Paging) -> Listing[StoredDevice]:
    """Devices, newest first."""
    with with_.database.session() as session:
        return listing(devices.list_devices(session, cursor=page.cursor, limit=page.limit))


@router.get("/devices/{name}")
def get_device(name: str, with_: With) -> DeviceOut:
    """One device, by name or id, with what its agent last said."""
    with with_.database.session() as session:
        found = devices.get_device(session, name)
        agent = agents.get_agent(session, found.id)
    told = None if agent is None else {"seen_at": agent.seen_at, **agent.facts}
    return DeviceOut(
        **{k: getattr(found, k) for k in DeviceOut.model_fields if k != "agent"}, agent=told
    )


@router.post("/devices/{name}:token", status_code=201)
def token(name: Annotated[str, Path()], with_: With, request: Request) -> TokenOut:
    """Make a token for the device's agent; the token before it ends."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        if device.local:
            raise InvalidSpec(
                f"device {name!r} is this machine: its workers measure, it needs no agent",
                field="name",
            )
        made = agents.make_token(session, device.id)
    server = str(request.base_url).rstrip("/")
    return TokenOut(
        device=device.name, token=made, command=f"nas agent --server {server} --token {made}"
    )


@router.get("/devices/{name}/targets")
def targets_of(name: str, with_: With) -> list[StoredTarget]:
    """A device's targets."""
    with with_.database.session() as session:
        return devices.targets_of(session, devices.get_device(session, name).id)


@router.get("/targets")
def list_targets(with_: With, page: Paging) -> Listing[StoredTarget]:
    """Targets, newest first."""
    with with_.database.session() as session:
        return listing(devices.list_targets(session, cursor=page.cursor, limit=page.limit))


class KitResultsIn(Strict):
    """A filled kit: the CSV's text, and the runtime that was used."""

    kit: str = Field(description="Artifact of the kit.")
    results: str = Field(max_length=4 * 1024**2, description="CSV: name, p50_ms, ...")
    runtime_version: str = Field(min_length=1, max_length=40)


@router.post("/devices/{name}:make-kit", status_code=202)
def make_kit(
    name: Annotated[str, Path()], body: ProfileIn, with_: With, response: Response
) -> Accepted:
    """Pack what an offline device is to measure; the kit becomes an artifact of the device."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        job = jobs.add_job(
            session,
            new_id("job"),
            "make_kit",
            subject=device.id,
            params={
                "device_id": device.id,
                "space": body.space,
                "image": _image(session, body).as_dict(),
                "precisions": list(body.precisions),
                "seed": body.seed,
            },
        )
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=device.id, href=f"/v1/artifacts?owner={device.id}", job=JobOut.of(job))


@router.post("/devices/{name}:import-kit", status_code=202)
def import_kit(
    name: Annotated[str, Path()], body: KitResultsIn, with_: With, response: Response
) -> Accepted:
    """Make tables of a filled kit, of all of it or, with what is missing named, of nothing."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        kit = artifacts.get_artifact(session, body.kit)
        if kit.kind != "kit" or kit.owner != device.id:
            raise InvalidSpec(f"artifact {kit.id!r} is no kit of device {name!r}", field="kit")
        job = jobs.add_job(
            session,
            new_id("job"),
            "import_kit",
            subject=device.id,
            params={
                "device_id": device.id,
                "kit": kit.lineage["kit"],
                "results": body.results,
                "runtime_version": body.runtime_version,
            },
        )
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=device.id, href=f"/v1/devices/{device.name}", job=JobOut.of(job))


class DriftIn(Strict):
    """How to look for drift, and how long to profile where there is some."""

    profile_budget_s: float = Field(default=60.0, ge=5, le=3600)
    seed: int = Field(default=0, ge=0, lt=2**31)


@router.post("/devices/{name}:check-drift", status_code=202)
def check_drift(
    name: Annotated[str, Path()], body: DriftIn, with_: With, response: Response
) -> Accepted:
    """Measure a few networks again; a device that has moved is profiled anew."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        _require_measurable(session, device)
        job = jobs.add_job(
            session,
            new_id("job"),
            "drift",
            subject=device.id,
            params={
                "device_id": device.id,
                "budget_s": body.profile_budget_s,
                "seed": body.seed,
                "remote": not device.local,
            },
        )
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=device.id, href=f"/v1/devices/{device.name}", job=JobOut.of(job))


def _image(session: Session, body: ProfileIn) -> ImageShape:
    """The images to profile for; raises where the space cannot take them."""
    if body.image is not None:
        image = ImageShape(body.image.size, body.image.channels, body.image.n_classes)
    else:
        dataset = datasets.get_dataset(session, body.dataset or "")
        if not dataset.ready:
            raise InvalidSpec(f"data set {dataset.name!r} is not imported yet", field="dataset")
        image = dataset.image
    load(SPACES, body.space)(image)
    return image


def _require_measurable(session: Session, device: StoredDevice) -> None:
    if not device.local and agents.get_agent(session, device.id) is None:
        raise Unsupported(
            f"device {device.name!r} has no agent: `nas devices token {device.name}` makes a token "
            "for one, or upload tables measured on it"
        )


@router.post("/devices/{name}:profile", status_code=202)
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
        _require_measurable(session, device)
        image = _image(session, body)
        job_id = remembered(session, key, "profile", (name, body), new_id("job"))
        job = jobs.add_job(
            session,
            job_id,
            "profile",
            subject=device.id,
            params={
                "device_id": device.id,
                "space": body.space,
                "image": image.as_dict(),
                "precisions": list(body.precisions),
                "budget_s": body.profile_budget_s,
                "seed": body.seed,
                "remote": not device.local,
            },
        )
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=device.id, href=f"/v1/devices/{device.name}", job=JobOut.of(job))
