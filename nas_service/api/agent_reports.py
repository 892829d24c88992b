"""Requests of agents and the answers to them, and what makes a report invalid."""

from __future__ import annotations

import base64
import binascii
import math
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from lookup_tables.measuring.timing import Protocol
from lookup_tables.target import Target
from nas_service.api.dependencies import Strict
from nas_service.api.documents.base import Own
from nas_service.api.documents.devices import ReferenceState
from nas_service.storage.agents import MAX_ANSWERS_BYTES

_PERCENTILES = ("p10_ms", "p50_ms", "p90_ms", "p99_ms")
Instance = Annotated[str, Field(min_length=8, max_length=40)]
Lease = Annotated[str, Field(min_length=8, max_length=64)]


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


def wrong_with(body: FinishIn, payload: dict[str, Any]) -> str | None:
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
