"""The pages. They hold no data: their scripts ask the REST API."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, select_autoescape
from plotly.offline import get_plotlyjs

from nas_service import __version__

_HERE = Path(__file__).parent
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=select_autoescape()
)


def mount(app: FastAPI) -> None:
    """Add the pages and their files to an application that serves the REST API."""

    @app.get("/", include_in_schema=False)
    def home() -> Response:
        return RedirectResponse("/searches")

    @app.get("/searches", include_in_schema=False)
    def searches() -> Response:
        return _page("searches.html")

    @app.get("/searches/{search_id}", include_in_schema=False)
    def search(search_id: str) -> Response:
        return _page("search.html", search_id=search_id)

    @app.get("/datasets", include_in_schema=False)
    def datasets() -> Response:
        return _page("datasets.html")

    @app.get("/datasets/{name}", include_in_schema=False)
    def dataset(name: str) -> Response:
        return _page("dataset.html", name=name)

    @app.get("/static/plotly.min.js", include_in_schema=False)
    def plotly(request: Request) -> Response:
        tag = f'"plotly-{__version__}"'
        headers = {"ETag": tag, "Cache-Control": "public, max-age=86400", **SECURITY}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(_plotly(), media_type="text/javascript", headers=headers)

    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")


def _page(template: str, **values: str) -> HTMLResponse:
    text = _templates.get_template(template).render(version=__version__, **values)
    return HTMLResponse(text, headers=SECURITY)


@cache
def _plotly() -> bytes:
    return str(get_plotlyjs()).encode()
