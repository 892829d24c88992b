"""What all pages share: templates, headers, and the way to the login where nobody is known."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from plotly.offline import get_plotlyjs
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

from nas_service import __version__
from nas_service.api.access.rules import GuardedRoute
from nas_service.dashboard import formats
from nas_service.errors import InvalidSpec, NasError, Unauthorized

M = TypeVar("M", bound=BaseModel)
HERE = Path(__file__).parent
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@cache
def plotly_script() -> str:
    """The plotting library, of the installed package."""
    return str(get_plotlyjs())


@cache
def plotly_styles() -> tuple[str, ...]:
    """Ids of elements in whose presence the library adds no styles by script, as it may not."""
    return tuple(sorted(set(re.findall(r'getElementById\("([0-9a-f]{64})"\)', plotly_script()))))


_templates.globals["plotly_styles"] = plotly_styles
_templates.filters |= {
    "percent": formats.percent,
    "sig": formats.significant,
    "duration": formats.duration,
    "size": formats.size,
    "since": formats.since,
    "when": formats.when,
}


class PageRoute(GuardedRoute):
    """A page: who is not known is sent to the login and back."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or send a browser that asks for a page to the login."""
        try:
            await super().handle(scope, receive, send)
        except Unauthorized:
            if scope["method"] != "GET":
                raise
            query = scope["query_string"].decode("latin-1")
            wanted = scope["path"] + (f"?{query}" if query else "")
            where = f"/login?next={quote(wanted, safe='')}"
            await RedirectResponse(where, status_code=303)(scope, receive, send)

    def problem(self, request: Request, status: int, error: NasError) -> HTMLResponse:
        """An error as a page, which says what it is as the API does."""
        title = HTTPStatus(status).phrase
        return page(request, "problem.html", status=status, title=title, detail=error.detail)


def given(kind: type[M], **values: Any) -> M:
    """What a form says as a request; raises `InvalidSpec` with the first thing that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "form"
        why = str(first["msg"]).removeprefix("Value error, ")
        raise InvalidSpec(f"{field}: {why}", field=field) from error


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A rendered page; it says who is logged in."""
    who = getattr(request.state, "identity", None)
    text = _templates.get_template(template).render(
        version=__version__, who=who, path=request.url.path, **values
    )
    return HTMLResponse(text, status_code=status, headers=SECURITY)
