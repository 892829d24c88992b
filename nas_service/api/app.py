"""Builds the application from settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from nas_service import __version__
from nas_service.api import (
    agent,
    artifacts,
    compressions,
    datasets,
    devices,
    events,
    health,
    jobs,
    measuring,
    profiling,
    reference,
    removal,
    searches,
    spaces,
    tables,
)
from nas_service.api.access import audit, tokens
from nas_service.api.access.identities import Identities
from nas_service.api.access.rules import GuardedRoute, action_of, seal
from nas_service.api.dependencies import Services
from nas_service.api.guard import Guard, hosts_for
from nas_service.api.problems import MEDIA_TYPE, install
from nas_service.api.uploads import sweep
from nas_service.engine.durable import Client
from nas_service.settings import Settings
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.session import Database

RESOURCES = (
    devices,
    profiling,
    agent,
    tables,
    datasets,
    removal,
    spaces,
    searches,
    compressions,
    jobs,
    measuring,
    artifacts,
    events,
    health,
    tokens,
    audit,
    reference,
)


def create_app(settings: Settings) -> FastAPI:
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
        yield
        services.engine.close()
        services.database.close()

    app = FastAPI(
        title="Hardware-aware neural architecture search",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # ours asks who asks
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=action_of,
        responses={
            status: {"description": text, "content": {MEDIA_TYPE: {}}}
            for status, text in {
                401: "No token, or one that is worth nothing",
                403: "A token that may not do this",
                404: "Not found",
                409: "Conflict",
                422: "The request says something that cannot be",
                503: "Not now",
            }.items()
        },
    )
    app.add_middleware(Guard, hosts=hosts_for(settings.host, settings.allowed_hosts))
    install(app, [route for resource in RESOURCES for route in resource.router.routes])
    app.router.route_class = GuardedRoute
    for resource in RESOURCES:
        app.include_router(resource.router)
    return app
