"""What routes are given: the service's resources, a page's bounds, an idempotency key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from nas_service.engine.durable import Client
from nas_service.queues import queue_of
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.blobs import BlobStore
from nas_service.storage.jobs import Job
from nas_service.storage.rows import Page
from nas_service.storage.scope import DEFAULT
from nas_service.storage.session import Database

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """What the application works with."""

    settings: Settings
    database: Database
    blobs: BlobStore
    engine: Client

    def enqueue(self, job: Job) -> None:
        """Hand a stored job to the engine; if this fails, a worker does it when it starts."""
        self.engine.enqueue(job.kind, queue_of(job.kind, job.params), job.id, job.params)

    def document(self, sha256: str) -> dict[str, Any]:
        """A stored JSON document."""
        with self.blobs.open(sha256) as stream:
            found: dict[str, Any] = json.load(stream)
        return found


def services(request: Request) -> Services:
    """The application's services, within the scope of the request."""
    found: Services = request.app.state.services
    return replace(found, database=found.database.of(DEFAULT))


With = Annotated[Services, Depends(services)]


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


class Listing(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None


def listing(page: Page[T]) -> Listing[T]:
    """A page as it is sent."""
    return Listing(items=page.items, next_cursor=page.next_cursor)


def remembered(session: Session, key: str | None, scope: str, body: Any, subject: str) -> str:
    """The subject that this request made before, or `subject` where it is new."""
    if key is None:
        return subject
    request = hashlib.sha256(repr(body).encode()).hexdigest()
    return jobs.remember(session, f"{scope}:{key}", request, subject)
