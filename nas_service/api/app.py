"""Builds the application from settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from nas_service import __version__
from nas_service.api import (
    again,
    agent,
    artifacts,
    audit,
    candidate_blocks,
    candidate_devices,
    candidates,
    compressions,
    datasets,
    devices,
    events,
    fronts,
    health,
    insights,
    job_retries,
    jobs,
    measuring,
    members,
    profiling,
    reference,
    removal,
    searches,
    signing_keys,
    spaces,
    streams,
    tables,
    tokens,
    trials,
)
from nas_service.api.access.identities import Identities
from nas_service.api.access.rules import GuardedRoute, action_of, seal
from nas_service.api.agent_waiting import AgentsWaiting
from nas_service.api.dependencies import Services
from nas_service.api.guard import Guard, hosts_for
from nas_service.api.polling import Fronts, PolledFirst, PolledRoute
from nas_service.api.problems import MEDIA_TYPE, install
from nas_service.api.rates import Rates
from nas_service.api.uploads import sweep
from nas_service.api.waking import Waking
from nas_service.engine.durable import Client
from nas_service.settings import Settings
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.session import Database

RESOURCES = (
    fronts,  # first: asked most often by far
    devices,
    profiling,
    again,
    agent,
    tables,
    datasets,
    removal,
    spaces,
    searches,
    candidates,
    candidate_blocks,
    candidate_devices,
    compressions,
    insights,
    jobs,
    job_retries,
    measuring,
    artifacts,
    signing_keys,
    events,
    health,
    streams,
    tokens,
    trials,
    members,
    audit,
    reference,
)


_PROBLEM = {"$ref": "#/components/schemas/ProblemOut"}


class Api(FastAPI):
    """The application behind its guard, which sees every request before any of the framework."""

    def __init__(
        self, *, hosts: frozenset[str] | None, rates: Rates | None, **options: Any
    ) -> None:
        super().__init__(**options)
        (polled,) = (one for one in fronts.router.routes if isinstance(one, PolledRoute))
        self._door: ASGIApp = Guard(PolledFirst(super().__call__, self, polled), hosts, rates)

    def wrap(self, middleware: Callable[[ASGIApp], ASGIApp]) -> None:
        """Put something in front of all: it sees what the guard refuses, too."""
        self._door = middleware(self._door)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._door(scope, receive, send)


def create_app(settings: Settings) -> Api:
    """The REST API on a migrated database; `mount` adds what else is served beside it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        seal(app.router)
        database = Database(settings.url)
        services = Services(
            settings=settings,
            database=database,
            blobs=blobs_of(settings),
            engine=Client(settings.engine_url),
            identities=Identities(database, open_here=settings.is_open),
        )
        settings.scratch_dir.mkdir(parents=True, exist_ok=True)
        sweep(settings.scratch_dir)
        app.state.services = services
        app.state.identities = services.identities
        app.state.fronts = Fronts(database)
        app.state.waking = waking = Waking(settings)
        waking.start()
        app.state.agents_waiting = AgentsWaiting(database, waking)
        yield
        waking.stop()
        services.engine.close()
        services.database.close()

    app = Api(
        hosts=hosts_for(settings.host, settings.allowed_hosts),
        rates=None if settings.is_open or not settings.rate_limit else Rates(settings.rate_limit),
        title="Hardware-aware neural architecture search",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # ours asks who asks
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=action_of,
        responses={
            status: {"description": text, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
            for status, text in {
                400: "No JSON that can be read",
                401: "No token, or one that is worth nothing",
                403: "A token that may not do this",
                404: "Not found",
                409: "Conflict",
                413: "Longer than the route takes",
                422: "The request says something that cannot be",
                429: "Too many requests, or open jobs; Retry-After says for how long",
                500: "A fault of the service; its log says more",
                501: "Not on this device or machine",
                503: "Not now",
            }.items()
        },
    )
    install(app, [route for resource in RESOURCES for route in resource.router.routes])
    app.router.route_class = GuardedRoute
    for resource in RESOURCES:
        app.include_router(resource.router)
    return app
