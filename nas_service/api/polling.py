"""Answers to polls: many at once are one question to the database, and nothing of them is parsed.

Pages and clients ask again and again whether a front has changed. Those who ask while a question is
on its way share the next one, so that each is told what was stored when it asked, or later, and
the database is asked as often as it answers, whoever polls. SQLite says for next to nothing whether
anybody has written since, and is asked nothing more where nobody has.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from typing import NamedTuple

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from nas_service.access.identity import Identity
from nas_service.api.access.rules import GuardedRoute
from nas_service.errors import NasError, NotFound
from nas_service.storage import front_revisions
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, state_of

_N_KEPT = 512
NO_FRONT = '{"revision": 0, "front": [], "measured": [], "limit_ms": null}'


class Asked(NamedTuple):
    """A search as somebody of a project asks for it."""

    project_id: str
    search_id: str


class Newest(NamedTuple):
    """A search's newest front as it is sent, and the state of the database that it was read in."""

    tag: bytes
    body: bytes
    state: int | None


class Fronts:
    """The newest fronts of searches."""

    def __init__(self, database: Database) -> None:
        self._database = database.of(SERVICE)
        self._state = state_of(database)
        self._now: int | None = None
        self._looked = False
        self._known: OrderedDict[Asked, Newest] = OrderedDict()
        self._waiting: dict[Asked, asyncio.Future[Newest]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def newest(self, asked: Asked) -> Newest:
        """A search's newest front; raises `NotFound` where the project has no such search."""
        known = self._known.get(asked)
        if known is not None and known.state is not None and known.state == self._state_now():
            return known
        waiting = self._waiting.get(asked)
        if waiting is None:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting[asked] = waiting
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(waiting)

    def _state_now(self) -> int | None:
        """The database's state, looked up once in each turn of the event loop.

        Whoever has been told of a change by this process asks in a later turn.
        """
        if not self._looked:
            self._now = self._state()
            self._looked = True
            asyncio.get_running_loop().call_soon(self._look_again)
        return self._now

    def _look_again(self) -> None:
        self._looked = False

    async def _ask(self) -> None:
        """Ask for all who wait, and then for those who came meanwhile."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                try:
                    state = self._state()  # before it is read: what is written meanwhile counts
                    found = await run_in_threadpool(self._read, waiting.keys(), state)
                except Exception as error:  # noqa: BLE001  # theirs to answer
                    for one in waiting.values():
                        one.set_exception(error)
                        one.exception()  # whoever has gone away is told nothing
                    continue
                for asked, future in waiting.items():
                    if asked in found:
                        future.set_result(found[asked])
                    else:
                        future.set_exception(NotFound(f"no search {asked.search_id!r}"))
                        future.exception()
        finally:
            self._asking = None

    def _read(self, every: Collection[Asked], state: int | None) -> dict[Asked, Newest]:
        found: dict[Asked, Newest] = {}
        with self._database.session() as session:
            revisions = front_revisions.revisions_of(session, [one.search_id for one in every])
            for asked in every:
                project_id, revision = revisions.get(asked.search_id, (None, 0))
                if project_id != asked.project_id:
                    continue
                tag = f'"{asked.search_id}.{revision}"'.encode()
                known = self._known.get(asked)
                if known is None or known.tag != tag:
                    body = (
                        front_revisions.front_body(session, asked.search_id, revision) or NO_FRONT
                    )
                    known = Newest(tag, body.encode(), state)
                found[asked] = known._replace(state=state)
        self._known.update(found)
        while len(self._known) > _N_KEPT:
            self._known.popitem(last=False)
        return found


class PolledRoute(GuardedRoute):
    """The route of a search's front: without a query it is answered from memory."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the newest front, or that it has not changed."""
        if scope["query_string"]:
            await super().answer(scope, receive, send)
            return
        who: Identity = scope["state"]["identity"]
        fronts: Fronts = scope["app"].state.fronts
        tag, body, _ = await fronts.newest(Asked(who.project_id, scope["path_params"]["search_id"]))
        headers = [(b"etag", tag), (b"cache-control", b"no-cache")]
        if any(name == b"if-none-match" and tag in value for name, value in scope["headers"]):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class PolledFirst:
    """Middleware that tries a polled route before all others, by the route's own matching.

    What it refuses or does not know goes the way of all requests, and is answered there.
    """

    def __init__(self, app: ASGIApp, owner: FastAPI, route: PolledRoute) -> None:
        self._app = app
        self._owner = owner
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a poll, or pass the request on."""
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            found = self._route.path_regex.match(scope["path"])
            if found is not None:
                params = {"path_params": found.groupdict(), "app": self._owner}
                try:
                    await self._route.handle({**scope, **params}, receive, send)
                except NasError:
                    pass
                else:
                    scope["route"] = self._route
                    return
        await self._app(scope, receive, send)
