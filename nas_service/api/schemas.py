"""Shapes that several resources send."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nas_service.api.problems import stored_problem
from nas_service.storage.fair_queueing import Priority
from nas_service.storage.jobs import Job


class JobState(StrEnum):
    """Where a job is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="allow")

    field: str
    error: str
    pointer: str | None = Field(default=None, description="JSON pointer into the body.")


class ProblemOut(BaseModel):
    """Why something failed, as the API says errors (RFC 9457); kinds have fields of their own."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    field: str | None = Field(default=None, description="What of the request it is about.")
    errors: list[Fault] = Field(
        default_factory=list, description="Everything that is wrong with a body, where that is it."
    )


class JobOut(BaseModel):
    """A job: state, progress from 0 to 1, seconds left where they can be told, outcome."""

    id: str
    kind: str
    subject: str
    state: JobState
    priority: Priority = "normal"
    n_before: int | None = Field(
        default=None,
        description="How many jobs its queue gives to workers before it, where one job is asked "
        "for that waits.",
    )
    progress: float
    message: str
    eta_s: float | None
    problem: ProblemOut | None
    result: str | None = Field(
        description="Where what came of it is, once it has succeeded; not of parts of other jobs."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job, n_before: int | None = None) -> JobOut:
        """The job as it is sent."""
        return cls(
            id=job.id,
            kind=job.kind,
            subject=job.subject,
            state=JobState(job.state),
            priority=job.priority,
            n_before=n_before,
            progress=job.fraction,
            message=job.message if not n_before else f"{job.message}, {n_before} jobs before it",
            eta_s=job.eta_s,
            problem=problem_of(job.problem, f"/v1/jobs/{job.id}"),
            result=_result(job),
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


_RESULTS = {
    "search": "/v1/searches",
    "dataset": "/v1/datasets",
    "profile": "/v1/devices",
    "import_kit": "/v1/devices",
    "compression": "/v1/compressions",
    "supernet": "/v1/supernets",
}


def _result(job: Job) -> str | None:
    if job.parent is not None:  # what it is about is what its parent is about
        return None
    place = _RESULTS.get(job.kind)
    return f"{place}/{job.subject}" if place and job.state == "succeeded" else None


def problem_of(stored: dict[str, Any] | None, instance: str) -> ProblemOut | None:
    """Why something failed, as it was stored with it."""
    told = stored_problem(stored, instance)
    return None if told is None else ProblemOut.model_validate(told)


class Accepted(BaseModel):
    """Long work was taken on: `Location` is its job, `href` where what it is about can be seen."""

    id: str
    href: str
    job: JobOut
