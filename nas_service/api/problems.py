"""Errors as application/problem+json (RFC 9457): the only place that knows both."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from nas_service import errors
from nas_service.telemetry import logger

_log = logger(__name__)
MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.NasError], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.InvalidSpec: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Infeasible: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unsupported: HTTPStatus.NOT_IMPLEMENTED,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Cancelled: HTTPStatus.CONFLICT,
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


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""

    @app.exception_handler(errors.NasError)
    def known(request: Request, error: errors.NasError) -> JSONResponse:
        status = _status(error)
        headers = {"Retry-After": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        return _answer(
            problem(status, error.kind, error.detail, request.url.path, **error.fields), headers
        )

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {"field": ".".join(str(part) for part in one["loc"][1:]) or "body", "error": one["msg"]}
            for one in error.errors()
        ]
        detail = "; ".join(f"{one['field']}: {one['error']}" for one in found[:5])
        return _answer(
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
        return _answer(document, dict(error.headers or {}))

    @app.exception_handler(Exception)
    def unknown(request: Request, error: Exception) -> JSONResponse:
        _log.error("unexpected error", path=request.url.path, error=repr(error))
        return _answer(
            problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "InternalError",
                "an unexpected error; the service's log says more",
                request.url.path,
            )
        )


def _status(error: errors.NasError) -> int:
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return int(status)
    return int(HTTPStatus.INTERNAL_SERVER_ERROR)


def _answer(document: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        document, status_code=document["status"], media_type=MEDIA_TYPE, headers=headers
    )
