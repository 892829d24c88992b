"""Is the service alive, and can it work?"""

from __future__ import annotations

import sys

from fastapi import APIRouter, Response
from pydantic import BaseModel

from nas_service import __version__
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import Unavailable
from nas_service.queues import CONCURRENCY
from nas_service.storage import leases

router = APIRouter(route_class=RepeatableRoute, tags=["health"])


class Health(BaseModel):
    """The process answers; whether it has imported torch, which it never should."""

    status: str
    version: str
    torch_imported: bool


class Readiness(BaseModel):
    """Whether the API can answer; and workers by queue, without which work waits."""

    ready: bool
    database: bool
    workers: dict[str, int]


@router.get("/healthz")
@allow(Rule.OPEN)
def health() -> Health:
    """The process answers."""
    return Health(status="ok", version=__version__, torch_imported="torch" in sys.modules)


@router.get("/readyz", responses={503: {"model": Readiness}})
@allow(Rule.OPEN)
def ready(with_: With, response: Response) -> Readiness:
    """The database answers, 503 otherwise; a queue without a worker keeps no request from it."""
    counts = dict.fromkeys(CONCURRENCY, 0)
    database = True
    try:
        with with_.database.session() as session:
            for queues in leases.live_workers(session).values():
                for queue in queues:
                    counts[queue] = counts.get(queue, 0) + 1
    except Unavailable:
        database = False
    found = Readiness(ready=database, database=database, workers=counts)
    response.status_code = 200 if found.ready else 503
    return found
