"""Builds the application from settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

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
    removal,
    searches,
    spaces,
    tables,
)
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
)


def create_app(settings: Settings) -> FastAPI:
    """The REST API on a migrated database; `mount` adds what else is served beside it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Services(
            settings=settings,
            database=Database(settings.url),
            blobs=blobs_of(settings),
            engine=Client(settings.engine_url),
        )
        settings.scratch_dir.mkdir(parents=True, exist_ok=True)
        sweep(settings.scratch_dir)
        app.state.services = services
        yield
        services.engine.close()
        services.database.close()

    app = FastAPI(
        title="Hardware-aware neural architecture search",
        version=__version__,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        responses={
            status: {"description": text, "content": {MEDIA_TYPE: {}}}
            for status, text in {
                401: "No token, or one that no device has",
                404: "Not found",
                409: "Conflict",
                422: "The request says something that cannot be",
                503: "Not now",
            }.items()
        },
    )
    app.add_middleware(Guard, hosts=hosts_for(settings.host, settings.allowed_hosts))
    install(app, [route for resource in RESOURCES for route in resource.router.routes])
    for resource in RESOURCES:
        app.include_router(resource.router)
    return app


def _operation_id(route: APIRoute) -> str:
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"
