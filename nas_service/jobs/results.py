"""What steps give to those that follow; as JSON they are kept, and read by later versions, too."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nas_service.queues import THIS_MACHINE, agent_queue, machine_queue

Json = dict[str, Any]


class StepResult(BaseModel):
    """Of any step that gives something; most store what they find, and give nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class TablesChosen(StepResult):
    """The tables of a search: deployments that have none yet, and what they are profiled with."""

    missing: list[str]
    sample: dict[str, dict[str, int]]
    device_id: str
    device_queue: str

    @model_validator(mode="before")
    @classmethod
    def as_before(cls, values: Json) -> Json:
        """A step that an earlier version ran told whether an agent measures."""
        if "device_queue" in values or "remote" not in values:
            return values
        remote = values["remote"]
        queue = agent_queue(values["device_id"]) if remote else machine_queue(THIS_MACHINE)
        return {**values, "device_queue": queue}


class Corrected(StepResult):
    """Whether a search goes on with the tables that its measurements corrected."""

    goes_on: bool


class WinnersChosen(StepResult):
    """Identifiers of winners that are to be delivered."""

    winners: list[str]


class Profiling(StepResult):
    """What makes tables of a device again as they were made."""

    space: str
    sample: dict[str, dict[str, int]]
    precisions: list[str] = Field(default_factory=list)
    networks: int | None = None


class DriftFound(StepResult):
    """Whether a device has moved, and what to profile it with if so."""

    moved: bool
    profile: list[Profiling]
