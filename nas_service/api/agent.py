"""What device agents call, and the file that they are; each knows its own device alone."""

from __future__ import annotations

import base64
import binascii
import math
import time
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field, model_validator
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from lookup_tables.agent_file import agent_file
from lookup_tables.measuring.timing import Protocol
from lookup_tables.target import Target
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.agent_waiting import AgentsWaiting
from nas_service.api.dependencies import Asking, Services, Strict, With, unaudited
from nas_service.api.documents.base import Own
from nas_service.api.documents.devices import ReferenceState
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.waking import Waking
from nas_service.errors import InvalidSpec, NotFound
from nas_service.storage import agents, certified, devices
from nas_service.storage.agents import MAX_ANSWERS_BYTES
from nas_service.storage.reopening import reopen_for_device
from nas_service.storage.session import now

router = APIRouter(route_class=RepeatableRoute, tags=["agents"])
MAX_SKEW_S = 60.0
_PERCENTILES = ("p10_ms", "p50_ms", "p90_ms", "p99_ms")
Instance = Annotated[str, Field(min_length=8, max_length=40)]
Lease = Annotated[str, Field(min_length=8, max_length=64)]


def device_of(who: Asking, services: Annotated[Services, Depends(unaudited)]) -> str:
    """The device whose agent asks; that it did is noted."""
    assert who.device_id is not None, "its route is for agents"
    with services.database.session() as session:
        agents.note_seen(session, who.device_id)
    return who.device_id


Mine = Annotated[str, Depends(device_of)]


class HelloIn(Strict):
    """What an agent says of its machine; `instance` is the same whenever it starts again."""

    instance: Instance

    model: str | None = Field(default=None, max_length=200)
    n_cores: int | None = Field(default=None, ge=1)
    memory_bytes: int | None = Field(default=None, ge=1)
    instruction_sets: tuple[str, ...] = ()
    machine: str = Field(default="", max_length=40)
    system: str = Field(default="", max_length=40)
    runtimes: dict[str, str]
    operating_point: str = Field(default="", max_length=80)
    measures_energy: bool = False
    understands: tuple[Annotated[str, Field(max_length=40)], ...] = Field(default=(), max_length=16)
    conditions: Own = Field(default_factory=dict)


class HelloOut(BaseModel):
    """Who the agent is here, and how far its clock is off."""

    device: str
    clock_skew_s: float | None


class TakeIn(Strict):
    """How long to wait for work."""

    instance: Instance

    wait_s: float = Field(default=20.0, ge=0, le=30)


class TaskOut(BaseModel):
    """Files to time on one target."""

    id: str
    lease: str
    target: Target
    models: dict[str, str]
    protocol: Protocol
    seed: int
    budget_s: float | None
    inputs: str | None
    outputs_of: list[str]
    feeds: dict[str, str] = Field(default_factory=dict)
    recorded: list[str] = Field(default_factory=list)
    references: dict[str, ReferenceState] = Field(default_factory=dict)
    relearn: bool = False
    watch_s: float = 0.0


class ProgressIn(Strict):
    """A sign of life."""

    lease: Lease
    fraction: float = Field(ge=0, le=1)
    note: str = Field(default="", max_length=200)


class ProgressOut(BaseModel):
    """Whether to go on."""

    cancelled: bool


class TimingIn(Strict):
    """A `Timing` as the agent reports it."""

    p10_ms: float = Field(gt=0, lt=1e9)
    p50_ms: float = Field(gt=0, lt=1e9)
    p90_ms: float = Field(gt=0, lt=1e9)
    p99_ms: float = Field(gt=0, lt=1e9)
    spread: float = Field(ge=0, lt=1e9)
    n: int = Field(ge=1)
    stable: bool
    measured_at: str = Field(max_length=40)
    cpu_ratio: float = Field(ge=0, le=100)
    energy_mj: float | None = Field(default=None, gt=0, lt=1e12)
    state: Literal["reference", "sustained", "unknown"] = "unknown"
    n_turns: int = Field(default=0, ge=0)
    error: float | None = Field(default=None, ge=0, lt=1e9)
    observed_p50_ms: float | None = Field(default=None, gt=0, lt=1e9)
    observed_p90_ms: float | None = Field(default=None, gt=0, lt=1e9)
    state_share: float | None = Field(default=None, ge=0, le=1)
    at_most_ms: float | None = Field(default=None, gt=0)
    reason: str = Field(default="", max_length=400)


class ReferenceIn(Strict):
    """A `Reference` as the agent reports it."""

    levels_ms: dict[str, Annotated[float, Field(gt=0, lt=1e9)]] = Field(min_length=1, max_length=16)
    tolerances: dict[str, Annotated[float, Field(gt=0, lt=1)]]
    share: float = Field(ge=0, le=1)
    visits: int = Field(ge=0)
    watched_s: float = Field(ge=0, lt=1e9)
    rival_share: float = Field(default=0.0, ge=0, le=1)
    rival_shift: float = Field(default=0.0, ge=-1, lt=1e9)
    doubt: str = Field(default="", max_length=400)
    state: Literal["reference", "sustained"] = "reference"
    learned_at: str = Field(default="", max_length=40)
    confirmed_at: str = Field(default="", max_length=40)

    @model_validator(mode="after")
    def complete(self) -> ReferenceIn:
        """Every level has its tolerance."""
        if set(self.levels_ms) != set(self.tolerances):
            raise ValueError("tolerances: one a level, under the same names")
        return self


class MachineIn(Strict):
    """How steady the device was while it measured."""

    kind: str = Field(max_length=40)
    reference: ReferenceIn
    state_share: float = Field(ge=0, le=1)
    watched_s: float = Field(ge=0, lt=1e9)
    niceness: int | None = None
    core: int | None = None
    n_unsettled: int = Field(default=0, ge=0)
    more_s: float | None = Field(default=None, ge=0, lt=1e9)


class OutputsIn(Strict):
    """Logits of some images: little-endian float32 in base64."""

    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=2, max_length=2)
    float32: str

    @model_validator(mode="after")
    def whole(self) -> OutputsIn:
        """As many finite numbers as the shape says."""
        try:
            values = np.frombuffer(base64.b64decode(self.float32, validate=True), dtype="<f4")
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"float32: {error}") from error
        if len(values) != math.prod(self.shape) or not np.isfinite(values).all():
            raise ValueError(f"float32: not {math.prod(self.shape)} finite numbers")
        return self


class AnswerIn(Strict):
    """One output to one sample: numbers, little-endian, in base64."""

    shape: tuple[Annotated[int, Field(ge=0)], ...] = Field(max_length=16)
    dtype: Literal[
        "float16",
        "float32",
        "float64",
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
    ]
    content: str = Field(max_length=4 * MAX_ANSWERS_BYTES // 3 + 4)

    @model_validator(mode="after")
    def whole(self) -> AnswerIn:
        """As many numbers as the shape says."""
        try:
            n_bytes = len(base64.b64decode(self.content, validate=True))
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"content: {error}") from error
        if n_bytes != math.prod(self.shape) * np.dtype(self.dtype).itemsize:
            raise ValueError(f"content: {n_bytes} bytes are not {self.shape} of {self.dtype}")
        return self


class FinishIn(Strict):
    """A report: timings and outputs, or the problem that prevented them."""

    lease: Lease
    timings: dict[str, TimingIn] = Field(default_factory=dict)
    outputs: dict[str, OutputsIn] = Field(default_factory=dict)
    answers: dict[str, list[list[AnswerIn]]] = Field(default_factory=dict)
    conditions: Own = Field(default_factory=dict)
    runtime_version: str = Field(default="", max_length=80)
    machine: MachineIn | None = None
    problem: str | None = Field(default=None, max_length=4000)


@router.get("/agent.pyz", response_class=Response)
@allow(Rule.OPEN)
def agent_as_a_file() -> Response:
    """The agent as one file that Python runs; it needs numpy and a runtime."""
    headers = {"Content-Disposition": 'attachment; filename="agent.pyz"'}
    return Response(agent_file(), media_type="application/zip", headers=headers)


_YEAR_5138_S = 1e11
"""What no clock shows, NaN and infinity among it."""


@router.post("/v1/agent:hello")
@allow(Rule.DEVICE)
def hello(body: HelloIn, with_: With, mine: Mine) -> HelloOut:
    """An agent starts and says what machine it is on."""
    said = body.conditions.get("at")
    skew = None
    if isinstance(said, int | float) and abs(said) < _YEAR_5138_S:
        skew = round(float(said) - time.time(), 1)
    with with_.database.session() as session:
        facts = {**body.model_dump(mode="json"), "clock_skew_s": skew}
        first = agents.note_hello(session, mine, facts, body.instance)
        device = devices.get_device(session, mine)
        certified.retire_runtimes(session, mine, body.runtimes)
        again = reopen_for_device(session, with_.blobs, device, unprofiled=True) if first else []
    for job in again:
        with_.enqueue(job)
    return HelloOut(device=device.name, clock_skew_s=skew)


@router.post(
    "/v1/agent/tasks:take",
    response_model=TaskOut,
    responses={204: {"description": "Nothing to do"}},
)
@allow(Rule.DEVICE, audited=False)
async def take(body: TakeIn, with_: With, mine: Mine, request: Request) -> Any:
    """Lease the next task; waits for one as long as asked."""

    def look() -> agents.DeviceTask | None:
        with with_.database.session() as session:
            return agents.take_task(session, mine, body.instance)

    waiting: AgentsWaiting = request.app.state.agents_waiting
    until = time.monotonic() + body.wait_s
    waking: Waking = request.app.state.waking
    while True:  # waiting agents must not hold the threads that other requests need
        ticket = waking.ticket()
        if await request.is_disconnected():  # it would never see what it is given
            return Response(status_code=204)
        found = await run_in_threadpool(look)
        if found is not None:
            return TaskOut(id=found.id, lease=found.lease or "", **found.payload)
        left_s = until - time.monotonic()
        if left_s <= 0:
            return Response(status_code=204)
        await waiting.for_work(mine, left_s, ticket)


@router.get("/v1/agent/files/{sha256}", response_class=FileResponse)
@allow(Rule.DEVICE, audited=False)
def file(sha256: str, with_: With, mine: Mine) -> FileResponse:
    """A file of one of this device's open tasks."""
    with with_.database.session() as session:
        if sha256 not in agents.files_of_open_tasks(session, mine):
            raise NotFound(f"no open task of this device has a file {sha256}")
    with with_.blobs.local(sha256) as path:
        return FileResponse(path, media_type="application/octet-stream")


@router.post("/v1/agent/tasks/{task_id}:progress")
@allow(Rule.DEVICE, audited=False)
def progress(task_id: str, body: ProgressIn, with_: With, mine: Mine) -> ProgressOut:
    """Prolong a lease."""
    with with_.database.session() as session:
        task = agents.task_of_device(session, task_id, mine)
        kept = agents.keep_task(session, task, body.lease, body.fraction, body.note)
    return ProgressOut(cancelled=not kept)


@router.post("/v1/agent/tasks/{task_id}:finish")
@allow(Rule.DEVICE)
def finish(task_id: str, body: FinishIn, with_: With, mine: Mine) -> ProgressOut:
    """Report; a report that says too little or the impossible counts as a failed run."""
    with with_.database.session() as session:
        task = agents.task_of_device(session, task_id, mine)
        problem = body.problem or _wrong_with(body, task.payload)
        if problem is not None:
            agents.fail_task(session, task, body.lease, problem)
        else:
            agents.finish_task(session, task, body.lease, _result(session, body, mine))
    if problem is not None and body.problem is None:
        raise InvalidSpec(problem, field="timings")
    return ProgressOut(cancelled=False)


def _result(session: Session, body: FinishIn, mine: str) -> dict[str, Any]:
    """The report under this machine's clock where the agent's is wrong."""
    agent = agents.get_agent(session, mine)
    skew = None if agent is None else agent.facts.get("clock_skew_s")
    result = body.model_dump(mode="json", exclude={"lease", "problem"})
    received = now().isoformat(timespec="seconds")
    if skew is None or abs(skew) > MAX_SKEW_S:
        for one in result["timings"].values():
            one["measured_at"] = received
    return {**result, "received_at": received}


def _wrong_with(body: FinishIn, payload: dict[str, Any]) -> str | None:
    """Why a report cannot be what was asked for."""
    if lacking := sorted(set(payload["models"]) - set(body.timings)):
        return f"timings of {', '.join(lacking[:5])} are missing"
    if unknown := sorted(set(body.timings) - set(payload["models"])):
        return f"timings of {', '.join(unknown[:5])} were not asked for"
    recorded = payload.get("recorded") or []
    reported = body.answers if recorded else body.outputs
    if lacking := sorted(set(payload["outputs_of"]) - set(reported)):
        return f"outputs of {', '.join(lacking[:5])} are missing"
    for name, answers in body.answers.items():
        if len(answers) != len(recorded):
            return f"{name}: {len(answers)} answers to {len(recorded)} samples"
    if body.machine is None:
        return "machine: how steady it was is missing"
    for name, timing in body.timings.items():
        values = [getattr(timing, one) for one in _PERCENTILES]
        if not all(a <= b * (1 + 1e-9) for a, b in pairwise(values)):
            return f"{name}: percentiles {values} do not rise"
    return None
