"""All pages, and the files that they load."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from nas_service import __version__
from nas_service.access.identity import Rule
from nas_service.api.access.rules import OpenFiles, allow
from nas_service.dashboard import (
    axes_page,
    candidate_page,
    compare_page,
    data_page,
    device_page,
    home,
    login,
    model_page,
    new_search_page,
    schedule_page,
    search_page,
    settings_page,
    sso,
    work_page,
)
from nas_service.dashboard.rendering import HERE, SECURITY, PageRoute, page, plotly_script

_PAGES = (
    home,
    new_search_page,
    search_page,
    candidate_page,
    compare_page,
    axes_page,
    device_page,
    data_page,
    model_page,
    work_page,
    schedule_page,
    login,
    sso,
    settings_page,
)
router = APIRouter(route_class=PageRoute, include_in_schema=False)


def mount(app: FastAPI) -> None:
    """Add the pages and their files to an application that serves the REST API."""
    for one in (router, *(module.router for module in _PAGES)):
        app.include_router(one)
    app.add_exception_handler(404, _missing(app))
    files = OpenFiles("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.router.routes.append(files)


def _missing(app: FastAPI) -> Callable[[Request, Exception], Awaitable[Response] | Response]:
    """For addresses that are nothing: a page for browsers, what the API says for others."""
    of_the_api = app.exception_handlers[HTTPException]

    def missing(request: Request, error: Exception) -> Awaitable[Response] | Response:
        browses = "text/html" in request.headers.get("accept", "")
        if not browses or request.url.path.startswith("/v1/"):
            answer: Awaitable[Response] | Response = of_the_api(request, error)
            return answer
        detail = f"There is no page {request.url.path}."
        return page(request, "problem.html", status=404, title="Not Found", detail=detail)

    return missing


@router.get("/static/plotly.min.js")
@allow(Rule.OPEN)
def plotly(request: Request) -> Response:
    """The plotting library, of the installed package."""
    tag = f'"plotly-{__version__}"'
    headers = {**SECURITY, "ETag": tag, "Cache-Control": "public, max-age=86400"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(plotly_script(), media_type="text/javascript", headers=headers)
