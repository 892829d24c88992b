"""Jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import JobOut, JobState
from nas_service.storage import jobs
from nas_service.storage.jobs import JobEvent

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["jobs"])


@router.get("/jobs")
@allow(Rule.READ)
def list_jobs(
    with_: With,
    page: Paging,
    subject: Annotated[str | None, Query(description="What it is about: an id.")] = None,
    kind: Annotated[str | None, Query(max_length=40, description="search, profile, ...")] = None,
    state: Annotated[JobState | None, Query()] = None,
    parent: Annotated[str | None, Query(description="The job that waits for it.")] = None,
) -> Listing[JobOut]:
    """Jobs, newest first: those of a subject, a kind, a state, a parent where they are named."""
    with with_.database.session() as session:
        found = jobs.list_jobs(
            session,
            subject=subject,
            kind=kind,
            state=state,
            parent=parent,
            cursor=page.cursor,
            limit=page.limit,
        )
    return Listing(items=[JobOut.of(one) for one in found.items], next_cursor=found.next_cursor)


@router.get("/jobs/{job_id}")
@allow(Rule.READ)
def get_job(job_id: str, with_: With) -> JobOut:
    """One job."""
    with with_.database.session() as session:
        job = jobs.get_job(session, job_id)
        return JobOut.of(job, jobs.n_before(session, job_id))


@router.get("/jobs/{job_id}/events")
@allow(Rule.READ)
def events(job_id: str, with_: With) -> list[JobEvent]:
    """What the job's steps did, oldest first."""
    with with_.database.session() as session:
        jobs.get_job(session, job_id)
        return jobs.events_of(session, job_id)


@router.post("/jobs/{job_id}:cancel", status_code=202)
@allow(Rule.WRITE)
def cancel(job_id: str, with_: With) -> JobOut:
    """Ask a job to end."""
    with with_.database.session() as session:
        return JobOut.of(jobs.request_cancel(session, job_id))
