"""Trainers of a user's own: they ask for architectures, train them anywhere, report what came.

A search whose evaluator is `outside` waits for them; a lease that is not prolonged goes to others.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, model_validator
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, Strict, With, listing_of
from nas_service.api.documents.base import Architecture
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.waking import Waking
from nas_service.errors import Conflict, InvalidSpec
from nas_service.space.base import describe
from nas_service.storage import datasets, searches, trials
from nas_service.storage.blobs import BlobStore
from nas_service.storage.searches import FINAL, StoredSearch
from nas_service.storage.spaces import open_space
from nas_service.storage.trials import Trial

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["trainers"])
_POLL_S = 0.5
LeaseSeconds = Annotated[float, Field(ge=10, le=86_400)]
Lease = Annotated[str, Field(min_length=8, max_length=64)]


class SuggestIn(Strict):
    """Who asks, for how long a trial is theirs without a sign of life, and how long to wait."""

    trainer: str = Field(default="", max_length=100, description="A name, for people.")
    lease_s: LeaseSeconds = 600.0
    wait_s: float = Field(default=0.0, ge=0, le=30)


class TrialOut(BaseModel):
    """An architecture to train, and what has become of it."""

    id: str
    search_id: str
    architecture: Architecture
    fidelity: float = Field(description="Share of the usual effort that is asked for.")
    state: str = Field(description="waiting, leased, done or failed.")
    attempts: int
    trainer: str | None
    lease_expires_at: datetime | None
    fraction: float
    value: float | None = Field(description="Of the search's metric, as it was reported.")
    problem: str | None
    created_at: datetime
    finished_at: datetime | None


class Suggested(TrialOut):
    """A trial that is the asking trainer's now."""

    lease: str
    metric: str = Field(description="What to report.")


class KeepIn(Strict):
    """A sign of life."""

    lease: Lease
    fraction: float = Field(ge=0, le=1)
    lease_s: LeaseSeconds = 600.0


class Kept(BaseModel):
    """Whether to go on: somebody else has the trial, or the search has ended, where not."""

    cancelled: bool


class CompleteIn(Strict):
    """The metric's value on validation data, or why there is none."""

    lease: Lease
    value: float | None = None
    problem: str | None = Field(default=None, min_length=1, max_length=4000)

    @model_validator(mode="after")
    def one_of(self) -> CompleteIn:
        """Exactly one of the two."""
        if (self.value is None) == (self.problem is None):
            raise ValueError("give either value or problem")
        return self


@router.post(
    "/searches/{search_id}/trials:suggest",
    response_model=Suggested,
    responses={204: {"description": "Nothing to train now; ask again"}},
)
@allow(Rule.WRITE, audited=False)
async def suggest(search_id: str, body: SuggestIn, with_: With, request: Request) -> Any:
    """Lease an architecture to train; waits for one as long as asked."""

    def look() -> Suggested | None:
        with with_.database.session() as session:
            search = _outside(session, search_id)
            if search.state in FINAL:
                raise Conflict(f"search {search_id} has {search.state}: nothing is to be trained")
            taken = trials.take(session, search_id, body.trainer, body.lease_s)
            if taken is None:
                return None
            told = _Shown(session, with_.blobs, search)(taken)
        return Suggested(**told.model_dump(), lease=taken.lease or "", metric=search.value.metric)

    until = time.monotonic() + body.wait_s
    waking: Waking = request.app.state.waking
    while True:  # waiting trainers must not hold the threads that other requests need
        ticket = waking.ticket()
        found = await run_in_threadpool(look)
        if found is not None:
            return found
        if time.monotonic() >= until or await request.is_disconnected():
            return Response(status_code=204)
        await waking.until(ticket, _POLL_S, until - time.monotonic())


@router.get("/searches/{search_id}/trials")
@allow(Rule.READ)
def list_trials(search_id: str, with_: With, page: Paging) -> Listing[TrialOut]:
    """What trainers were given, newest first."""
    with with_.database.session() as session:
        shown = _Shown(session, with_.blobs, searches.get_search(session, search_id))
        found = trials.list_trials(session, search_id, cursor=page.cursor, limit=page.limit)
    return listing_of(found, shown)


@router.get("/searches/{search_id}/trials/{trial_id}")
@allow(Rule.READ)
def get_trial(search_id: str, trial_id: str, with_: With) -> TrialOut:
    """One trial."""
    with with_.database.session() as session:
        shown = _Shown(session, with_.blobs, searches.get_search(session, search_id))
        return shown(trials.get_trial(session, search_id, trial_id))


@router.post("/searches/{search_id}/trials/{trial_id}:keep")
@allow(Rule.WRITE, audited=False)
def keep(search_id: str, trial_id: str, body: KeepIn, with_: With) -> Kept:
    """Prolong a lease; `cancelled` says to stop."""
    with with_.database.session() as session:
        search = _outside(session, search_id)
        trial = trials.get_trial(session, search_id, trial_id)
        kept = search.state not in FINAL and trials.keep(
            session, trial, body.lease, body.fraction, body.lease_s
        )
    return Kept(cancelled=not kept)


@router.post("/searches/{search_id}/trials/{trial_id}:complete")
@allow(Rule.WRITE)
def complete(search_id: str, trial_id: str, body: CompleteIn, with_: With) -> TrialOut:
    """Report the metric's value; or a problem, upon which it is offered to others."""
    with with_.database.session() as session:
        search = _outside(session, search_id)
        trial = trials.get_trial(session, search_id, trial_id)
        if body.problem is not None:
            trials.fail(session, trial, body.lease, body.problem)
        else:
            dataset = datasets.get_dataset(session, search.dataset_id)
            metric = dataset.task.metric(search.value.metric)
            score = metric.score(float(body.value or 0.0))
            lowest = metric.lowest_score
            if score > 1.0 or (lowest is not None and score < lowest):
                raise InvalidSpec(
                    f"value: {metric.label} is {metric.best:g} at best"
                    + ("" if lowest is None else f" and {metric.worst:g} at worst")
                    + f", not {body.value:g}",
                    field="value",
                )
            trials.complete(session, trial, body.lease, score)
        return _Shown(session, with_.blobs, search)(trials.get_trial(session, search_id, trial_id))


def _outside(session: Session, search_id: str) -> StoredSearch:
    search = searches.get_search(session, search_id)
    if search.value.evaluator != "outside":
        raise Conflict(
            f"search {search_id} evaluates by {search.value.evaluator!r}: only one with the "
            "evaluator 'outside' waits for trainers",
            field="evaluator",
        )
    return search


class _Shown:
    """Makes what is sent of a trial."""

    def __init__(self, session: Session, blobs: BlobStore, search: StoredSearch) -> None:
        dataset = datasets.get_dataset(session, search.dataset_id)
        self._space = open_space(session, blobs, search.value.space, dataset.sample)
        self._metric = dataset.task.metric(search.value.metric)

    def __call__(self, trial: Trial) -> TrialOut:
        row = np.array(trial.genotype, dtype=np.int64)
        return TrialOut(
            id=trial.id,
            search_id=trial.search_id,
            architecture=Architecture.model_validate(describe(self._space, row)),
            fidelity=trial.fidelity,
            state=trial.state,
            attempts=trial.attempts,
            trainer=trial.trainer,
            lease_expires_at=trial.lease_expires_at,
            fraction=trial.fraction,
            value=None if trial.score is None else self._metric.of_score(trial.score),
            problem=trial.problem,
            created_at=trial.created_at,
            finished_at=trial.finished_at,
        )
