"""The keys that bundles are signed with: what whoever got one checks it by."""

from __future__ import annotations

from fastapi import APIRouter

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.storage import signing_keys
from nas_service.storage.scope import SERVICE
from nas_service.storage.signing_keys import SigningKey

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["artifacts"])


@router.get("/signing-keys")
@allow(Rule.READ)
def list_signing_keys(with_: With) -> list[SigningKey]:
    """Public keys (Ed25519, PEM) of all machines that have signed bundles, newest first."""
    with with_.database.of(SERVICE).session() as session:
        return signing_keys.list_keys(session)
