"""A search as it goes on, as server-sent events: for who would rather be told than ask."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from nas_service.access.identity import Identity, Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Services, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.searches import progress
from nas_service.errors import Forbidden, NotFound, Unauthorized, Unavailable
from nas_service.storage import front_revisions, searches
from nas_service.storage.searches import FINAL

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["searches"])
_LOOK_EVERY_S = 1.0
_ALIVE_EVERY_S = 15.0
MOST_A_CALLER = 16
"""Each looks every second: more would keep others waiting."""
_open: Counter[tuple[str, str]] = Counter()


@router.get(
    "/searches/{search_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `progress` (as GET .../progress has it), `front` (a revision) "
            "and, last, `end`",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
@allow(Rule.READ)
async def events(
    search_id: str,
    with_: With,
    request: Request,
    most_s: Annotated[float, Query(ge=0, le=86_400, description="End after so long.")] = 3600.0,
) -> StreamingResponse:
    """What changes about a search, until it ends or whoever asked may not see it any more."""
    who: Identity = request.state.identity
    if _open[who.kind, who.id] >= MOST_A_CALLER:
        raise Unavailable(f"{MOST_A_CALLER} streams are open for {who.name}; close one first")
    with with_.database.session() as session:
        searches.get_search(session, search_id)
    return StreamingResponse(
        _counted(who, _told(search_id, with_, request, time.monotonic() + most_s)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _counted(who: Identity, told: AsyncGenerator[str]) -> AsyncIterator[str]:
    """The same events, counted as one of the caller's streams while they are read."""
    _open[who.kind, who.id] += 1
    try:
        async with aclosing(told):
            async for one in told:
                yield one
    finally:
        _open[who.kind, who.id] -= 1
        if not _open[who.kind, who.id]:
            del _open[who.kind, who.id]


async def _told(
    search_id: str, with_: Services, request: Request, until: float
) -> AsyncGenerator[str]:
    known: dict[str, str] = {}
    alive = time.monotonic()
    while request.method == "GET":  # HEAD is answered by the same function
        try:
            if not await _may_still(with_, request):
                yield _event("end", json.dumps({"reason": "you may not see this any more"}))
                return
            state, found = await run_in_threadpool(_look, search_id, with_)
        except NotFound:
            yield _event("end", json.dumps({"reason": "removed"}))
            return
        except Unavailable:  # a database that is busy will answer again
            await asyncio.sleep(_LOOK_EVERY_S)
            continue
        for name, text in found:
            if known.get(name) != text:
                known[name] = text
                alive = time.monotonic()
                yield _event(name, text)
        if state in FINAL:
            yield _event("end", json.dumps({"reason": state}))
            return
        if time.monotonic() >= until or await request.is_disconnected():
            return
        if time.monotonic() - alive > _ALIVE_EVERY_S:
            alive = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(min(_LOOK_EVERY_S, max(0.0, until - time.monotonic())))


async def _may_still(with_: Services, request: Request) -> bool:
    """Whether who began to listen may still read, in the project that they began in."""
    began: Identity = request.state.identity
    try:
        who = await with_.identities.of(request.scope, Rule.READ)
    except (Unauthorized, Forbidden):
        return False
    return who is not None and who.project_id == began.project_id and who.may(Rule.READ)


def _look(search_id: str, with_: Services) -> tuple[str, list[tuple[str, str]]]:
    told = progress(search_id, with_)
    with with_.database.session() as session:
        revision = front_revisions.revision_of(session, search_id)
    return told.state, list(_events(told.model_dump_json(), revision))


def _events(progress_json: str, revision: int) -> Iterator[tuple[str, str]]:
    yield "progress", progress_json
    if revision:
        yield "front", json.dumps({"revision": revision})


def _event(name: str, text: str) -> str:
    return f"event: {name}\ndata: {text}\n\n"
