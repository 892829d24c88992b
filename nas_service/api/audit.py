"""The audit log of a project."""

from __future__ import annotations

from fastapi import APIRouter

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, With, listing
from nas_service.api.idempotency import RepeatableRoute
from nas_service.storage import audit
from nas_service.storage.audit import AuditEvent

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["access"])


@router.get("/audit-events")
@allow(Rule.ADMIN)
def list_events(with_: With, page: Paging) -> Listing[AuditEvent]:
    """Who changed what, newest first; each was stored with the change itself."""
    with with_.database.session() as session:
        return listing(audit.list_events(session, cursor=page.cursor, limit=page.limit))
