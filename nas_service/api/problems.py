"""Errors as application/problem+json (RFC 9457): the only place that knows both."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from nas_service import errors
from nas_service.telemetry import logger

_log = logger(__name__)
MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.NasError], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.InvalidSpec: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Infeasible: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unsupported: HTTPStatus.NOT_IMPLEMENTED,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Cancelled: HTTPStatus.CONFLICT,
}


_HEADERS = {
    int(HTTPStatus.SERVICE_UNAVAILABLE): {"Retry-After": "2"},
    int(HTTPStatus.TOO_MANY_REQUESTS): {"Retry-After": "10"},
    int(HTTPStatus.UNAUTHORIZED): {"WWW-Authenticate": "Bearer"},
}


def problem(status: int, kind: str, detail: str, instance: str, **fields: Any) -> dict[str, Any]:
    """A problem document."""
    slug = re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()
    return {
        "type": f"/problems/{slug}",
        "title": slug.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": instance,
        **fields,
    }


def stored_problem(values: dict[str, Any] | None, instance: str) -> dict[str, Any] | None:
    """The document of an error that a job was stored with: clients read one shape."""
    if values is None:
        return None
    error = errors.from_dict(values)
    return problem(_status(error), error.kind, error.detail, instance, **error.fields)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Answer every error of the application, which has these routes, with a problem document."""

    @app.exception_handler(errors.NasError)
    def known(request: Request, error: errors.NasError) -> Response:
        status = _status(error)
        headers = _HEADERS.get(status, {})
        told = getattr(request.scope.get("route"), "problem", None)
        if told is not None:  # of a page: as a page
            shown: Response = told(request, status, error)
            return shown
        return answer(
            problem(status, error.kind, error.detail, request.url.path, **error.fields), headers
        )

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [_invalid(one) for one in error.errors()]
        detail = "; ".join(f"{one['field']}: {one['error']}" for one in found[:5])
        return answer(
            problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "InvalidRequest",
                detail,
                request.url.path,
                field=found[0]["field"],
                errors=found,
            )
        )

    @app.exception_handler(HTTPException)
    def plain(request: Request, error: HTTPException) -> JSONResponse:
        title = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
        document = problem(error.status_code, title, str(error.detail), request.url.path)
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed(routes, request.url.path))
        return answer(document, headers)

    @app.exception_handler(Exception)
    def unknown(request: Request, error: Exception) -> JSONResponse:
        told = {"path": request.url.path, "error": repr(error)}
        _log.error("unexpected error", request=request.state.request_id, **told)
        return answer(
            problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "InternalError",
                "an unexpected error; the service's log says more",
                request.url.path,
            )
        )


def _invalid(error: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a request and where; of a body that is no JSON, at which character."""
    if error["type"] == "json_invalid":
        at, why = error["loc"][-1], error.get("ctx", {}).get("error", error["msg"])
        return {"field": "body", "error": f"no JSON: {why} at character {at + 1}"}
    where, *places = map(str, error["loc"])
    told = {"field": ".".join(places) or "body", "error": error["msg"]}
    if where == "body":
        told["pointer"] = "#" + "".join(f"/{_escaped(one)}" for one in places)
    return told


def _escaped(part: str) -> str:
    """A part of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def _allowed(routes: Sequence[BaseRoute], path: str) -> list[str]:
    """Methods of every route of this path: the router names those of the first one alone."""
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.path_regex.match(path):
            found |= route.methods or set()
    return sorted(found)


def _status(error: errors.NasError) -> int:
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return int(status)
    return int(HTTPStatus.INTERNAL_SERVER_ERROR)


class _Problem(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """As JSON does, with characters escaped that UTF-8 cannot carry."""
        return json.dumps(content, allow_nan=False).encode()


def answer(document: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem document as a response."""
    return _Problem(document, status_code=document["status"], headers=headers)
