"""Searches: submit, watch, cancel, read the front."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import (
    IdempotencyKey,
    Listing,
    Paging,
    Services,
    With,
    remembered,
)
from nas_service.api.documents.base import Architecture, Lineage
from nas_service.api.documents.certificates import CertificateOut
from nas_service.api.documents.searches import FactsOut, SearchState, SpecOut
from nas_service.api.documents.winners import FrontOut, Trail, WinnerOut
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut, ProblemOut, problem_of
from nas_service.api.search_requests import SearchIn, settled
from nas_service.jobs.params import SearchJob
from nas_service.space.base import describe
from nas_service.storage import certified, datasets, devices, front_revisions, jobs, searches
from nas_service.storage.searches import StoredSearch
from nas_service.storage.spaces import open_space
from nas_service.storage.trail import trails

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["searches"])


class SearchOut(BaseModel):
    """A search."""

    id: str
    state: SearchState
    spec: SpecOut
    revision: int
    reopens: str | None
    facts: FactsOut
    problem: ProblemOut | None
    lineage: Lineage
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, stored: StoredSearch) -> SearchOut:
        """The search as it is sent."""
        return cls(
            id=stored.id,
            state=SearchState(stored.state),
            spec=SpecOut.model_validate(stored.spec),
            revision=stored.revision,
            reopens=stored.reopens,
            facts=FactsOut.model_validate(stored.facts.as_dict()),
            problem=problem_of(stored.problem, f"/v1/searches/{stored.id}"),
            lineage=Lineage.model_validate(stored.lineage),
            created_at=stored.created_at,
            finished_at=stored.finished_at,
        )


class Progress(BaseModel):
    """How far a search is: itself, and the jobs that it waits for."""

    state: SearchState
    progress: float
    message: str
    eta_s: float | None
    jobs: list[JobOut]


class Evaluated(BaseModel):
    """One query of a search: an architecture and its accuracy on validation data."""

    number: int
    batch: int
    architecture: Architecture
    precision: str
    accuracy: float


@router.post("/searches", status_code=202)
@allow(Rule.WRITE)
def submit(body: SearchIn, with_: With, response: Response, key: IdempotencyKey = None) -> Accepted:
    """Start a search."""
    with with_.database.session() as session:
        asked = settled(session, with_.blobs, body)
        added = searches.add_search(
            session,
            asked.spec,
            device_id=asked.device.id,
            dataset_id=asked.dataset.id,
            data_digest=asked.dataset.digest,
        )
        search_id = remembered(session, key, "search", body, added.id)
        if asked.note is not None:
            searches.add_facts(session, added.id, notes=[asked.note])
        if search_id != added.id:
            searches.remove_search(session, added.id)
        params = SearchJob(search_id=search_id).as_dict()
        job = with_.add_job(
            session,
            search_id,
            "search",
            subject=search_id,
            params=params,
            priority=body.priority,
        )
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=search_id, href=f"/v1/searches/{search_id}", job=JobOut.of(job))


@router.get("/searches")
@allow(Rule.READ)
def list_searches(
    with_: With,
    page: Paging,
    state: Annotated[SearchState | None, Query()] = None,
    device: Annotated[str | None, Query(description="A device's name or id.")] = None,
    dataset: Annotated[str | None, Query(description="A data set's name or id.")] = None,
) -> Listing[SearchOut]:
    """Searches, newest first: those of a state, a device, a data set where they are named."""
    with with_.database.session() as session:
        found = searches.list_searches(
            session,
            state=state,
            device_id=None if device is None else devices.get_device(session, device).id,
            dataset_id=None if dataset is None else datasets.get_dataset(session, dataset).id,
            cursor=page.cursor,
            limit=page.limit,
        )
    return Listing(items=[SearchOut.of(one) for one in found.items], next_cursor=found.next_cursor)


@router.get("/searches/{search_id}")
@allow(Rule.READ)
def get_search(search_id: str, with_: With) -> SearchOut:
    """One search."""
    with with_.database.session() as session:
        return SearchOut.of(searches.get_search(session, search_id))


@router.get("/searches/{search_id}/progress")
@allow(Rule.READ)
def progress(search_id: str, with_: With) -> Progress:
    """How far a search is, with an estimate of the seconds left."""
    with with_.database.session() as session:
        search = searches.get_search(session, search_id)
        job = jobs.get_job(session, search_id)
        below = jobs.children_of(session, search_id)
    return Progress(
        state=SearchState(search.state),
        progress=job.fraction,
        message=job.message,
        eta_s=job.eta_s,
        jobs=[JobOut.of(one) for one in below],
    )


@router.get("/searches/{search_id}/evaluations")
@allow(Rule.READ)
def evaluations(
    search_id: str,
    with_: With,
    cursor: Annotated[int | None, Query(ge=0, description="From next_cursor.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Listing[Evaluated]:
    """The queries of a search, in order: what was evaluated on validation data."""
    with with_.database.session() as session:
        search = searches.get_search(session, search_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        told = searches.evaluations_of(session, search_id)
        space = open_space(session, with_.blobs, search.value.space, dataset.sample)
    start = cursor or 0
    part = told[start : start + limit]
    more = start + limit < len(told)
    items = [
        Evaluated(
            number=one.number,
            batch=one.batch,
            architecture=Architecture.model_validate(describe(space, one.genotype.row)),
            precision=search.value.deployments[one.genotype.deployment].name,
            accuracy=one.accuracy,
        )
        for one in part
    ]
    return Listing(items=items, next_cursor=str(start + limit) if more else None)


def newest_front(with_: Services, search_id: str) -> FrontOut:
    """The newest front, an empty one before the first."""
    with with_.database.session() as session:
        revision = front_revisions.revision_of(session, search_id)
        body = front_revisions.front_body(session, search_id, revision)
    return FrontOut.model_validate_json(body) if body else FrontOut()


@router.get("/searches/{search_id}/winners")
@allow(Rule.READ)
def winners(search_id: str, with_: With) -> list[WinnerOut]:
    """The search's winners: estimates, measurements, verdicts."""
    with with_.database.session() as session:
        searches.get_search(session, search_id)
        found = searches.winners_of(session, search_id)
    return [WinnerOut.of(one) for one in found]


@router.get("/searches/{search_id}/lineage")
@allow(Rule.READ)
def lineage_of(search_id: str, with_: With) -> list[Trail]:
    """Each winner's deployments from front point to certificate: which stages are done, by what."""
    with with_.database.session() as session:
        found = trails(session, searches.get_search(session, search_id))
    return [Trail.model_validate(one) for one in found]


@router.get("/searches/{search_id}/certificates")
@allow(Rule.READ)
def certificates(search_id: str, with_: With, page: Paging) -> Listing[CertificateOut]:
    """Certificates of the search's files, newest first; stale ones say why."""
    with with_.database.session() as session:
        searches.get_search(session, search_id)
        found = certified.list_certificates(
            session, search_id, cursor=page.cursor, limit=page.limit
        )
    return Listing(
        items=[CertificateOut.of(one) for one in found.items], next_cursor=found.next_cursor
    )


@router.get("/searches/{search_id}/again")
@allow(Rule.READ)
def opened_again(search_id: str, with_: With) -> list[SearchOut]:
    """Searches that opened this one again, newest first, each with its diff of fronts."""
    with with_.database.session() as session:
        searches.get_search(session, search_id)
        return [SearchOut.of(one) for one in searches.opened_again_from(session, search_id)]


@router.post("/searches/{search_id}:cancel", status_code=202)
@allow(Rule.WRITE)
def cancel(search_id: str, with_: With) -> JobOut:
    """Ask a search, and all that it waits for, to end."""
    with with_.database.session() as session:
        searches.get_search(session, search_id)
        return JobOut.of(jobs.request_cancel(session, search_id))
