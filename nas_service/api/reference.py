"""What the API says of itself: its OpenAPI document, and that as a page without scripts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.idempotency import RepeatableRoute

router = APIRouter(route_class=RepeatableRoute, include_in_schema=False)


@router.get("/openapi.json", response_class=JSONResponse)
@allow(Rule.READ)
def openapi(request: Request) -> Any:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())
