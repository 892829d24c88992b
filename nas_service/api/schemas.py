"""Shapes that several resources send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from nas_service.api.problems import stored_problem
from nas_service.storage.jobs import Job


class JobOut(BaseModel):
    """A job: state, progress from 0 to 1, seconds left where they can be told, outcome."""

    id: str
    kind: str
    subject: str
    state: str
    progress: float
    message: str
    eta_s: float | None
    problem: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> JobOut:
        """The job as it is sent."""
        return cls(
            id=job.id,
            kind=job.kind,
            subject=job.subject,
            state=job.state,
            progress=job.fraction,
            message=job.message,
            eta_s=job.eta_s,
            problem=stored_problem(job.problem, f"/v1/jobs/{job.id}"),
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


class Accepted(BaseModel):
    """Long work was taken on: where to look at its subject, and at the job."""

    id: str
    href: str
    job: JobOut
