"""The pages. They hold no data: their scripts ask the REST API."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from plotly.offline import get_plotlyjs

from nas_service import __version__
from nas_service.access.identity import Rule
from nas_service.api.access.rules import OpenFiles, allow
from nas_service.dashboard import login
from nas_service.dashboard.rendering import HERE, SECURITY, PageRoute, page

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def mount(app: FastAPI) -> None:
    """Add the pages and their files to an application that serves the REST API."""
    for one in (router, login.router):
        app.include_router(one)
    files = OpenFiles("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.router.routes.append(files)


@router.get("/")
@allow(Rule.READ)
def home() -> Response:
    """The searches."""
    return RedirectResponse("/searches")


@router.get("/searches")
@allow(Rule.READ)
def searches(request: Request) -> Response:
    """All searches."""
    return page(request, "searches.html")


@router.get("/searches/{search_id}")
@allow(Rule.READ)
def search(request: Request, search_id: str) -> Response:
    """One search."""
    return page(request, "search.html", search_id=search_id)


@router.get("/datasets")
@allow(Rule.READ)
def datasets(request: Request) -> Response:
    """All data sets."""
    return page(request, "datasets.html")


@router.get("/datasets/{name}")
@allow(Rule.READ)
def dataset(request: Request, name: str) -> Response:
    """One data set."""
    return page(request, "dataset.html", name=name)


@router.get("/static/plotly.min.js")
@allow(Rule.OPEN)
def plotly(request: Request) -> Response:
    """The plotting library, of the installed package."""
    tag = f'"plotly-{__version__}"'
    headers = {**SECURITY, "ETag": tag, "Cache-Control": "public, max-age=86400"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(_plotly(), media_type="text/javascript", headers=headers)


@cache
def _plotly() -> bytes:
    return str(get_plotlyjs()).encode()
