"""What routes are given: the service's resources, a page's bounds, an idempotency key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from nas_service import tracing
from nas_service.access.identity import Identity
from nas_service.api.access.identities import Identities
from nas_service.api.access.rules import Access, action_of
from nas_service.engine.durable import Client
from nas_service.errors import TooMany
from nas_service.queues import queue_of
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.audit import Action, watching
from nas_service.storage.blobs import BlobStore
from nas_service.storage.fair_queueing import Priority, place
from nas_service.storage.jobs import Job
from nas_service.storage.rows import Page
from nas_service.storage.scope import SERVICE, Scope
from nas_service.storage.session import Database

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Services:
    """What the application works with."""

    settings: Settings
    database: Database
    blobs: BlobStore
    engine: Client
    identities: Identities

    def add_job(
        self,
        session: Session,
        job_id: str,
        kind: str,
        *,
        subject: str,
        params: dict[str, Any],
        priority: Priority = "normal",
    ) -> Job:
        """Store a job that somebody asks for, or give back the one of that id.

        Raises:
            TooMany: as many of the project have not ended as are allowed.
        """
        known = jobs.is_stored(session, job_id)
        params = {**params, **tracing.here()}
        job = jobs.add_job(session, job_id, kind, subject=subject, params=params, priority=priority)
        if not known:  # what was answered before is answered again
            self.require_few(session)
        return job

    def require_few(self, session: Session) -> None:
        """Raise `TooMany` where more jobs of a project have not ended than are allowed."""
        limit = self.settings.max_open_jobs
        if jobs.n_open(session, limit + 1) > limit:
            raise TooMany(
                f"{limit} jobs of this project wait or run; ask again when some have ended "
                "(NAS_MAX_OPEN_JOBS)",
                limit=limit,
            )

    def enqueue(self, job: Job) -> None:
        """Hand a stored job to the engine; if this fails, a worker does it when it starts."""
        queue, at = queue_of(job.kind, job.params), place(job.priority, job.start_tag)
        self.engine.enqueue(job.kind, queue, job.id, job.params, place=at)

    def document(self, sha256: str) -> dict[str, Any]:
        """A stored JSON document."""
        with self.blobs.open(sha256) as stream:
            found: dict[str, Any] = json.load(stream)
        return found


PRIORITY = "high: before the usual ones of the project; low: when nothing else waits."
_READING = frozenset({"GET", "HEAD"})
_NOBODY = Scope("")
"""The project of those who are not known, which owns nothing and cannot."""


def asking(request: Request) -> Identity:
    """Who asks: known on every route that is not open."""
    found: Identity | None = request.state.identity
    assert found is not None, "an open route asks who asks"
    return found


Asking = Annotated[Identity, Depends(asking)]


def services(request: Request) -> Services:
    """The application's services, within the project of who asks; what they change is noted."""
    found: Services = request.app.state.services
    who: Identity | None = request.state.identity
    if who is None:
        return replace(found, database=found.database.of(_NOBODY))
    scope = Scope(who.project_id)
    access: Access = request.state.access
    if request.method in _READING or not access.audited:
        return replace(found, database=found.database.of(scope))
    action = Action(
        actor=f"{who.kind} {who.id}",
        actor_name=who.name,
        action=action_of(request.scope["route"]),
        subject=" ".join(map(str, request.path_params.values())),
        request_id=request.state.request_id,
        project_id=who.project_id,
    )
    return replace(found, database=found.database.of(scope, watching(action)))


With = Annotated[Services, Depends(services)]


def of_the_service(request: Request) -> Services:
    """The application's services in the service's own scope: for logging in, which has no other."""
    found: Services = request.app.state.services
    return replace(found, database=found.database.of(SERVICE))


def unaudited(request: Request) -> Services:
    """The same for what is noted of who asks, which is no change of theirs."""
    found: Services = request.app.state.services
    return replace(found, database=found.database.of(Scope(asking(request).project_id)))


class Strict(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Bounds:
    """Which page."""

    cursor: str | None
    limit: int


def bounds(
    cursor: Annotated[str | None, Query(description="From a page's next_cursor.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Bounds:
    """The page asked for."""
    return Bounds(cursor, limit)


Paging = Annotated[Bounds, Depends(bounds)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="A repeated request with the same key makes nothing new.",
    ),
]


def _said(body: Any) -> Any:
    if isinstance(body, BaseModel):
        return body.model_dump(mode="json", exclude_unset=True)
    if isinstance(body, tuple):
        return [_said(one) for one in body]
    return body


class Listing(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None


def listing(page: Page[T]) -> Listing[T]:
    """A page as it is sent."""
    return Listing(items=page.items, next_cursor=page.next_cursor)


def listing_of(page: Page[S], made: Callable[[S], T]) -> Listing[T]:
    """A page of rows, each made into what is sent of it."""
    return Listing(items=[made(one) for one in page.items], next_cursor=page.next_cursor)


def remembered(session: Session, key: str | None, scope: str, body: Any, subject: str) -> str:
    """The subject that this request made before, or `subject` where it is new.

    A request is known by what was said in it, in whatever order, and not by defaults: a new version
    with another default knows a repeated request still.
    """
    if key is None:
        return subject
    said = json.dumps(_said(body), sort_keys=True, allow_nan=False)
    request = hashlib.sha256(said.encode()).hexdigest()
    return jobs.remember(session, f"{scope}:{key}", request, subject)
