"""Measure again what is there but could not be measured steadily, or not at all."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.compressions import job_of
from nas_service.api.dependencies import With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.compilation.kept import UNSTEADY
from nas_service.errors import Conflict
from nas_service.jobs.params import CompressionJob, RemeasureJob
from nas_service.search.certificate import PREDICTED_ONLY, UNDECIDED
from nas_service.storage import artifacts, devices, jobs, searches
from nas_service.storage.jobs import Job
from nas_service.storage.session import new_id

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["measuring"])

_OPEN = {UNDECIDED, PREDICTED_ONLY}
"""Verdicts that another measurement may settle."""


@router.post("/searches/{search_id}:measure", status_code=202)
@allow(Rule.WRITE)
def measure_winners(search_id: str, with_: With, response: Response) -> Accepted:
    """Measure winners again of which a file is undecided, or was never measured."""
    with with_.database.session() as session:
        search = searches.get_search(session, search_id)
        if search.state != "succeeded":
            raise Conflict(f"search {search_id} is {search.state}: nothing of it can be measured")
        _require_idle(session, search_id)
        winners = [
            one.id
            for one in searches.winners_of(session, search_id)
            if any(row["verdict"] in _OPEN for row in one.results or [])
        ]
        if not winners:
            raise Conflict(f"every file of search {search_id} has its verdict")
        queue = devices.get_device(session, search.device_id).queue
        params = RemeasureJob(search_id=search_id, winners=winners, device_queue=queue).as_dict()
        job = with_.add_job(session, new_id("job"), "remeasure", subject=search_id, params=params)
    return _started(with_, response, job, f"/v1/searches/{search_id}")


@router.post("/compressions/{compression_id}:measure", status_code=202)
@allow(Rule.WRITE)
def measure_compression(compression_id: str, with_: With, response: Response) -> Accepted:
    """Measure again the files of a compression that are kept as not measured steadily."""
    with with_.database.session() as session:
        begun = job_of(session, compression_id)
        _require_idle(session, compression_id)
        stored = {one.name: one for one in artifacts.artifacts_of(session, compression_id)}
        if "report.json" not in stored:
            raise Conflict(f"compression {compression_id} is {begun.state}: it has no files yet")
        rows = with_.document(stored["report.json"].sha256)["rows"]
        targets = [
            {"runtime": row["runtime"], "precision": row["precision"]}
            for row in rows
            if row.get("kept") == UNSTEADY
        ]
        if not targets:
            raise Conflict(f"no file of compression {compression_id} waits to be measured")
        asked = CompressionJob.model_validate(begun.params)
        own = asked.model_copy(update={"targets": targets, "again": True}).as_dict()
        job = with_.add_job(
            session, new_id("job"), "measure_model", subject=compression_id, params=own
        )
    return _started(with_, response, job, f"/v1/compressions/{compression_id}")


def _require_idle(session: Session, subject: str) -> None:
    """Refuse while another job is at work on the same thing."""
    newest = jobs.list_jobs(session, subject=subject, cursor=None, limit=1).items
    if newest and newest[0].state not in jobs.FINAL:
        raise Conflict(f"job {newest[0].id} is at work on {subject}")


def _started(with_: With, response: Response, job: Job, href: str) -> Accepted:
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=job.subject, href=href, job=JobOut.of(job))
