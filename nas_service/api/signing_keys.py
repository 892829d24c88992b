"""The keys that bundles are signed with: what whoever got one checks it by."""

from __future__ import annotations

from fastapi import APIRouter

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.storage import signing_keys
from nas_service.storage.scope import SERVICE
from nas_service.storage.signing_keys import SigningKey

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["artifacts"])


@router.get("/signing-keys")
@allow(Rule.READ)
def list_signing_keys(with_: With) -> Listing[SigningKey]:
    """Public keys (Ed25519, PEM) of all machines that sign bundles, newest first."""
    with with_.database.of(SERVICE).session() as session:
        return Listing(items=signing_keys.list_keys(session), next_cursor=None)


@router.delete("/signing-keys/{key_id}", status_code=204)
@allow(Rule.OPERATOR)
def retire_signing_key(key_id: str, with_: With) -> None:
    """Trust a key no more, as one that was lost: bundles that it signed are no longer verified."""
    with with_.database.of(SERVICE).session() as session:
        signing_keys.retire_key(session, key_id)
