"""Running a job again that has ended: the same work, as a job of its own."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from nas_service.access.identity import Rule
from nas_service.api import again
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Services, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.errors import Conflict
from nas_service.storage import devices, jobs
from nas_service.storage.jobs import FINAL, Job
from nas_service.storage.session import new_id

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["jobs"])
_OF_DEVICES = ("profile", "drift", "make_kit", "import_kit")
_COMPRESSION = "compression"
_OTHERWISE = {
    "dataset": "a data set that could not be read is not kept: import it again",
    "remeasure": "ask for what has no verdict again: POST /v1/searches/{id}:measure",
    "measure_model": "ask for what has no verdict again: POST /v1/compressions/{id}:measure",
}
REPEATABLE = ("search", *_OF_DEVICES, _COMPRESSION)
"""Kinds of jobs that can be run again."""


def repeatable(job: Job | JobOut, *, parent: str | None) -> bool:
    """Whether a job can be run again now: it has ended, and no other one waits for it."""
    return job.state in FINAL and parent is None and job.kind in REPEATABLE


@router.post("/jobs/{job_id}:retry", status_code=202)
@allow(Rule.WRITE)
def retry(job_id: str, with_: With, response: Response) -> Accepted:
    """Do the work of a job that has ended once more, in a new one, from the beginning."""
    with with_.database.session() as session:
        job = jobs.get_job(session, job_id)
        _require_repeatable(job)
        made = None if job.kind == "search" else _again(session, with_, job)
    if made is None:
        return again.clone(job.subject, with_, response)
    with_.enqueue(made)
    response.headers["Location"] = f"/v1/jobs/{made.id}"
    return Accepted(id=made.subject, href=f"/v1/jobs/{made.id}", job=JobOut.of(made))


def _require_repeatable(job: Job) -> None:
    if job.state not in FINAL:
        raise Conflict(f"job {job.id} is {job.state}: it can be run again when it has ended")
    if job.parent is not None:
        raise Conflict(f"job {job.id} is part of {job.parent}: run that again")
    if job.kind not in REPEATABLE:
        why = _OTHERWISE.get(job.kind, "its kind cannot be run again")
        if job.kind == "dataset" and job.state == "succeeded":
            why = "the data set was imported: there is nothing to do again"
        raise Conflict(f"job {job.id}: {why}")


def _again(session: Session, with_: Services, job: Job) -> Job:
    """The new job: on the device as it is now, which may have another queue by now."""
    job_id = new_id("job")
    params: dict[str, Any] = dict(job.params)
    subject = job.subject
    if "device_id" in params:
        device = devices.get_device(session, params["device_id"])
        params["device_queue"] = device.queue
    if job.kind == _COMPRESSION:
        if params.get("again"):
            raise Conflict(f"job {job.id}: {_OTHERWISE['measure_model']}")
        subject = f"cmp_{job_id.removeprefix('job_')}"
        params["compression_id"] = subject
    return with_.add_job(
        session, job_id, job.kind, subject=subject, params=params, priority=job.priority
    )
