"""Devices and their targets."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, field_validator
from sqlalchemy.orm import Session

from lookup_tables.target import Device, Target, this_device
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Asking, Listing, Paging, Strict, With, listing_of
from nas_service.api.documents.devices import DeviceOut, DeviceWithAgent, TargetOut
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import InvalidSpec
from nas_service.storage import agents, devices, leases

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["devices"])
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$")]
LabelValue = Annotated[str, Field(max_length=200)]
Machine = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
Operator = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]


class DeviceIn(Strict):
    """A device: this machine, one that workers run on, or another one as described.

    Machines are read from their operating systems. `machine` is the name that workers there are
    given (`NAS_MACHINE`).
    """

    name: Name
    this_machine: bool = False
    machine: Machine | None = None
    kind: Literal["cpu", "gpu", "npu", "mcu", "phone", "board"] = "cpu"
    model: str | None = Field(default=None, max_length=200)
    n_cores: int | None = Field(default=None, ge=1)
    memory_bytes: int | None = Field(default=None, ge=1)
    instruction_sets: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(), max_length=200
    )
    peak_macs_per_s: float | None = Field(default=None, gt=0, lt=1e18)
    bandwidth_bytes_per_s: float | None = Field(default=None, gt=0, lt=1e18)
    unsupported_operators: tuple[Operator, ...] = Field(default=(), max_length=200)
    labels: dict[Label, LabelValue] = Field(default_factory=dict, max_length=32)

    @field_validator("unsupported_operators")
    @classmethod
    def known_operators(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Names of ONNX: one that is misspelt would keep nothing out."""
        if names:
            from onnx import defs  # brings more than registering most devices needs

            for name in names:
                if not defs.has(name):
                    raise ValueError(f"ONNX has no operator {name!r}; names are as in Sigmoid")
        return names

    def to_device(self, machine: Device | None) -> Device:
        """The device: of what is known of its `machine`, or as it was described."""
        if machine is not None:
            here = replace(machine, name=self.name)
            return replace(
                here,
                labels={**here.labels, **self.labels},
                unsupported_operators=self.unsupported_operators,
            )
        return Device(
            self.name,
            self.kind,
            self.model,
            self.n_cores,
            self.memory_bytes,
            self.instruction_sets,
            peak_macs_per_s=self.peak_macs_per_s,
            bandwidth_bytes_per_s=self.bandwidth_bytes_per_s,
            unsupported_operators=self.unsupported_operators,
            labels=self.labels,
        )


class TokenOut(BaseModel):
    """An agent's token, shown this once, and the command to give it to."""

    device: str
    token: str
    command: str


@router.post("/devices", status_code=201)
@allow(Rule.WRITE)
def register(body: DeviceIn, with_: With, response: Response) -> DeviceOut:
    """Register a device; this machine comes with ONNX Runtime targets in fp32 and int8."""
    with with_.database.session() as session:
        own = with_.settings.machine
        machine = (own if body.this_machine else None) if body.machine is None else body.machine
        facts, runtime = this_device(body.name), version("onnxruntime")
        if body.machine is not None and not (body.this_machine and body.machine == own):
            facts, runtime = _worker_machine(session, body.machine)
        device = body.to_device(None if machine is None else facts)
        added = devices.add_device(session, device, machine=machine)
        if machine is not None:
            for precision in ("fp32", "int8"):
                target = Target(added.name, "onnxruntime", runtime, precision)
                devices.add_target(session, added.id, target)
    response.headers["Location"] = f"/v1/devices/{added.name}"
    return DeviceOut.of(added)


def _worker_machine(session: Session, name: str) -> tuple[Device, str]:
    """A machine as a worker there describes it, and its version of ONNX Runtime."""
    known = leases.machines(session)
    if name not in known:
        raise InvalidSpec(
            f"no worker that measures runs on machine {name!r}; there are: "
            f"{', '.join(sorted(known)) or 'none'}",
            field="machine",
        )
    return Device(**known[name]["facts"]), known[name]["runtimes"]["onnxruntime"]


@router.get("/devices")
@allow(Rule.READ)
def list_devices(with_: With, page: Paging) -> Listing[DeviceOut]:
    """Devices, newest first."""
    with with_.database.session() as session:
        found = devices.list_devices(session, cursor=page.cursor, limit=page.limit)
    return listing_of(found, DeviceOut.of)


@router.get("/devices/{name}")
@allow(Rule.READ)
def get_device(name: str, with_: With) -> DeviceWithAgent:
    """One device, by name or id, with what its agent last said."""
    with with_.database.session() as session:
        found = devices.get_device(session, name)
        agent = agents.get_agent(session, found.id)
    return DeviceWithAgent.with_agent(found, agent)


class DeviceChanges(Strict):
    """What is to be otherwise: the rest stays, as tables hold for the hardware."""

    labels: dict[Label, LabelValue] | None = Field(default=None, max_length=32)


@router.patch("/devices/{name}")
@allow(Rule.WRITE)
def change_device(name: str, body: DeviceChanges, with_: With) -> DeviceOut:
    """Change a device's labels: all of them, those of its machine stay."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        if body.labels is not None:
            device = devices.set_labels(session, device.id, body.labels)
    return DeviceOut.of(device)


@router.post("/devices/{name}:token", status_code=201)
@allow(Rule.ADMIN, secret=True)
def token(name: Annotated[str, Path()], with_: With, who: Asking, request: Request) -> TokenOut:
    """Make a token for the device's agent; the token before it ends."""
    with with_.database.session() as session:
        device = devices.get_device(session, name)
        if device.machine is not None:
            raise InvalidSpec(
                f"device {name!r} is this machine: its workers measure, it needs no agent",
                field="name",
            )
        made = agents.make_token(session, device, f"{who.kind} {who.id}")
    with_.identities.forget()
    server = str(request.base_url).rstrip("/")
    return TokenOut(
        device=device.name, token=made, command=f"nas agent --server {server} --token {made}"
    )


@router.get("/devices/{name}/targets")
@allow(Rule.READ)
def targets_of(name: str, with_: With) -> list[TargetOut]:
    """A device's targets."""
    with with_.database.session() as session:
        found = devices.targets_of(session, devices.get_device(session, name).id)
    return [TargetOut.of(one) for one in found]


@router.get("/targets")
@allow(Rule.READ)
def list_targets(with_: With, page: Paging) -> Listing[TargetOut]:
    """Targets, newest first."""
    with with_.database.session() as session:
        found = devices.list_targets(session, cursor=page.cursor, limit=page.limit)
    return listing_of(found, TargetOut.of)


@router.get("/targets/{target_id}")
@allow(Rule.READ)
def get_target(target_id: str, with_: With) -> TargetOut:
    """One target."""
    with with_.database.session() as session:
        return TargetOut.of(devices.get_target(session, target_id))
