"""Jobs and what became of them; workers, queues and machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from nas_service.access.identity import Rule
from nas_service.api import job_retries
from nas_service.api import jobs as api
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Paging, With
from nas_service.api.schemas import JobOut
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.queues import CONCURRENCY
from nas_service.storage import jobs, leases
from nas_service.storage.jobs import FINAL, JobEvent

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_FORM_BYTES = 64 * 1024
_WHAT = {
    "control": "searches and what waits for others",
    "cpu": "imports and conversions",
    "gpu": "training",
    "device": "measuring on the worker's machine",
    "agent": "waiting for agents of devices",
}
_REMEDIES = {
    "Unreachable": "Start the device's agent, or bring the device back; then run it again.",
    "Unavailable": "Something that it needs was not there for long. Run it again.",
    "Unsupported": "This installation lacks a toolchain: `nas toolchains` says how to get it.",
    "InvalidData": "Mend what the message names, and import the data set again.",
    "InvalidSpec": "Change what was asked for as the message says, and ask again.",
    "MissingBlocks": "Profile the device for this space; the message has the command.",
    "Infeasible": "Nothing meets the limits: raise them, or take another space or device.",
    "Conflict": "Something else was in the way; see the message, then run it again.",
    "Cancelled": "Somebody ended it. Run it again if it is still wanted.",
}
_OTHERWISE = "Run it again. If it fails the same way, look for its id in the worker's log."
_SHOWN = {"type", "title", "status", "detail", "instance", "field", "output", "log", "request_id"}


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job, and whether it can be run again."""

    job: JobOut
    again: bool


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step: how often it was begun, and how it ended."""

    step: str
    state: str
    attempts: int
    began: datetime
    seconds: float | None
    executor: str


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue and how many workers serve it."""

    name: str
    what: str
    n: int


@router.get("/jobs")
@allow(Rule.READ)
def list_jobs(request: Request, with_: With, bounds: Paging) -> Response:
    """All jobs, newest first."""
    with with_.database.session() as session:
        found = jobs.list_jobs(session, subject=None, cursor=bounds.cursor, limit=bounds.limit)
    lines = [
        JobLine(JobOut.of(one), again=job_retries.repeatable(one, parent=one.parent))
        for one in found.items
    ]
    return page(request, "jobs.html", lines=lines, next_cursor=found.next_cursor)


@router.get("/jobs/{job_id:path}")
@allow(Rule.READ)
def show(request: Request, job_id: str, with_: With) -> Response:
    """One job: its steps, and why it failed if it did."""
    with with_.database.session() as session:
        stored = jobs.get_job(session, job_id)
        n_before = jobs.n_before(session, job_id)
        events = jobs.events_of(session, job_id)
        children = [JobOut.of(one) for one in jobs.children_of(session, job_id)]
    steps = [
        replace(one, state="cancelled")
        if stored.state == "cancelled" and one.state == "failed"
        else one
        for one in steps_of(events)
    ]
    problem: dict[str, Any] = stored.problem or {}
    failed = [one for one in steps if one.state == "failed"]
    return page(
        request,
        "job.html",
        job=JobOut.of(stored, n_before),
        ended=stored.state in FINAL,
        again=job_retries.repeatable(stored, parent=stored.parent),
        parent=stored.parent,
        children=children,
        steps=steps,
        failed_step=failed[-1] if failed else None,
        remedy=_REMEDIES.get(str(problem.get("kind")), _OTHERWISE),
        more=[(k, v) for k, v in problem.items() if k not in _SHOWN | {"kind"}],
        tail=problem.get("output") or problem.get("log") or "",
    )


@router.post("/jobs/{job_id}/cancel")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def cancel(job_id: str, with_: With) -> Response:
    """Ask a job to end, and show it."""
    api.cancel(job_id, with_)
    return RedirectResponse(f"/jobs/{job_id}", status_code=303)


@router.post("/jobs/{job_id}/retry")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def retry(job_id: str, with_: With) -> Response:
    """Do the work of a job once more, and show the new one."""
    made = job_retries.retry(job_id, with_, Response())
    return RedirectResponse(f"/jobs/{made.job.id}", status_code=303)


@router.get("/health")
@allow(Rule.READ)
def health(request: Request, with_: With) -> Response:
    """Workers by queue, machines, jobs by state."""
    with with_.database.session() as session:
        workers = leases.live_workers(session)
        machines = leases.machines(session)
        counts = jobs.count_by_state(session)
    served = [queue for queues in workers.values() for queue in queues]
    queues = [QueueLine(name, _WHAT[name], served.count(name)) for name in CONCURRENCY]
    return page(
        request, "health.html", queues=queues, workers=workers, machines=machines, counts=counts
    )


def steps_of(events: Sequence[JobEvent]) -> list[StepLine]:
    """What a job's record says of each step, in the order in which they began."""
    found: dict[str, StepLine] = {}
    for event in events:
        before = found.get(event.step)
        if event.event == "started":
            attempts = 1 if before is None else before.attempts + 1
            found[event.step] = StepLine(
                event.step, "running", attempts, event.at, None, event.executor
            )
        elif before is not None:
            seconds = (event.at - before.began).total_seconds()
            state = "succeeded" if event.event in {"finished", "succeeded"} else event.event
            found[event.step] = StepLine(
                event.step, state, before.attempts, before.began, seconds, event.executor
            )
    return list(found.values())
