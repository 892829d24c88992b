"""The front of a search, which is polled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import With
from nas_service.api.documents.winners import FrontOut
from nas_service.api.polling import NO_FRONT, PolledRoute
from nas_service.errors import NotFound
from nas_service.storage import front_revisions

router = APIRouter(route_class=PolledRoute, prefix="/v1", tags=["searches"])


@router.get(
    "/searches/{search_id}/front",
    response_class=Response,
    responses={200: {"model": FrontOut}, 304: {"description": "Not changed"}},
)
@allow(Rule.READ)
def front(
    search_id: str,
    with_: With,
    revision: Annotated[int | None, Query(ge=1, lt=2**31, description="An earlier front.")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The latest front: predicted and measured points. Stored text, never computed per poll."""
    with with_.database.session() as session:
        newest = front_revisions.revision_of(session, search_id)
        wanted = revision or newest
        tag = f'"{search_id}.{wanted}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers=headers)
        body = front_revisions.front_body(session, search_id, wanted)
    if body is None and revision is not None:
        raise NotFound(f"search {search_id} has no front revision {revision}")
    if body is None:
        body = NO_FRONT
    return Response(body, media_type="application/json", headers=headers)
