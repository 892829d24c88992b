"""Devices, their agents and their targets."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field

from lookup_tables.target import Target
from nas_service.api.documents.base import Document, Lineage, Own, Sent
from nas_service.storage.agents import Agent
from nas_service.storage.devices import StoredDevice


class ReferenceState(Document):
    """The state of a machine that its latencies hold in: levels of anchors, and how sure it is."""

    levels_ms: dict[str, float]
    tolerances: dict[str, float] = Field(default={}, description="Of the logarithms of levels.")
    share: float = Field(default=0.0, description="Of the time that it was watched.")
    visits: int = 0
    watched_s: float = 0.0
    rival_share: float = 0.0
    rival_shift: float = 0.0
    doubt: str = ""
    state: str = "reference"
    learned_at: str = ""
    confirmed_at: str = ""


class DriftTold(Document):
    """Whether a target has moved away from its table; `moved` is null where nothing tells."""

    moved: bool | None = None
    shift: float | None = Field(default=None, description="Share slower (positive) or faster.")
    interval: tuple[float, float] | None = Field(default=None, description="Of the shift, 95 %.")
    p_value: float | None = None
    n_probes: int | None = None
    table: str | None = None
    reason: str | None = None


class DriftCheck(Document):
    """One look at a device: its targets by key."""

    checked_at: datetime | None = None
    targets: dict[str, DriftTold] = {}


class DeviceFacts(Document):
    """What is known of a device's hardware; null is unknown, never a guess."""

    name: str | None = None
    kind: str = ""
    model: str | None = None
    n_cores: int | None = None
    memory_bytes: int | None = None
    instruction_sets: list[str] = []
    operating_points: list[str] = []
    peak_macs_per_s: float | None = None
    bandwidth_bytes_per_s: float | None = None
    unsupported_operators: list[str] = []
    labels: dict[str, str] = {}
    machine: str | None = Field(default=None, description="Whose workers measure on it.")
    references: dict[str, ReferenceState] = {}
    drift: DriftCheck | None = Field(default=None, description="The newest check.")
    drift_checks: list[DriftCheck] = Field(default=[], description="Oldest first.")


class AgentFacts(Document):
    """What a device's agent last said of the machine."""

    seen_at: datetime | None = None
    instance: str | None = None
    model: str | None = None
    n_cores: int | None = None
    memory_bytes: int | None = None
    instruction_sets: list[str] = []
    machine: str = ""
    system: str = ""
    runtimes: dict[str, str] = {}
    operating_point: str = ""
    measures_energy: bool = False
    conditions: Own = {}
    clock_skew_s: float | None = None


class DeviceOut(Sent):
    """A device; `local` where workers on it measure, and no agent."""

    id: str
    name: str
    facts: DeviceFacts
    local: bool
    lineage: Lineage
    created_at: datetime


class DeviceWithAgent(DeviceOut):
    """A device, and its agent where it has one."""

    agent: AgentFacts | None = None

    @classmethod
    def with_agent(cls, stored: StoredDevice, agent: Agent | None) -> Self:
        """The device beside what its agent last said."""
        told = cls.of(stored)
        if agent is not None:
            told.agent = AgentFacts.model_validate({"seen_at": agent.seen_at, **agent.facts})
        return told


class TargetOut(Sent):
    """A registered target."""

    id: str
    device_id: str
    key: str
    precision: str
    facts: Target
    created_at: datetime
