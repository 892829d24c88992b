"""Tokens of a project: made, listed, revoked; and who asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from nas_service.access.identity import Permission, Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Asking, Listing, Paging, Strict, With, listing
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import Forbidden
from nas_service.storage import tokens
from nas_service.storage.tokens import Token

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["access"])
MAX_DAYS = 3650


class TokenIn(Strict):
    """A token: what it is for, what it may do, how long."""

    name: str = Field(min_length=1, max_length=100)
    permissions: tuple[Permission, ...] = Field(min_length=1, max_length=4)
    days: Annotated[float, Field(gt=0, le=MAX_DAYS)] | None = Field(
        default=None, description="It expires after so many days; never unless given."
    )
    operator: bool = Field(
        default=False, description="May do what concerns all projects, as no other may."
    )


class TokenMade(BaseModel):
    """A token and its secret, which is shown this once."""

    token: Token
    secret: str


class WhoOut(BaseModel):
    """Who asks, in which project, and what they may do."""

    kind: str
    id: str
    name: str
    project_id: str
    permissions: list[Permission]
    operator: bool


@router.get("/me")
@allow(Rule.READ)
def who_am_i(who: Asking) -> WhoOut:
    """Who this request is from."""
    return WhoOut(
        kind=who.kind,
        id=who.id,
        name=who.name,
        project_id=who.project_id,
        permissions=sorted(who.permissions),
        operator=who.operator,
    )


@router.post("/tokens", status_code=201)
@allow(Rule.ADMIN, secret=True)
def add_token(body: TokenIn, with_: With, who: Asking, response: Response) -> TokenMade:
    """Make a token for a program or a person; agents get theirs at their device."""
    if Permission.DEVICE in body.permissions:
        raise Forbidden("a device's token is made at the device: POST /v1/devices/{name}:token")
    if body.operator and not who.operator:
        raise Forbidden("only an operator makes operators", needs=Rule.OPERATOR.value)
    expires_at = None if body.days is None else datetime.now(UTC) + timedelta(days=body.days)
    with with_.database.session() as session:
        token, secret = tokens.add_token(
            session,
            body.name,
            body.permissions,
            created_by=f"{who.kind} {who.id}",
            expires_at=expires_at,
            operator=body.operator,
        )
    response.headers["Location"] = f"/v1/tokens/{token.id}"
    return TokenMade(token=token, secret=secret)


@router.get("/tokens")
@allow(Rule.ADMIN)
def list_tokens(with_: With, page: Paging) -> Listing[Token]:
    """The project's tokens, newest first; of their secrets nothing is kept that could be shown."""
    with with_.database.session() as session:
        return listing(tokens.list_tokens(session, cursor=page.cursor, limit=page.limit))


@router.delete("/tokens/{token_id}")
@allow(Rule.ADMIN)
def revoke_token(token_id: str, with_: With) -> Token:
    """End a token, and the logins that were made with it."""
    with with_.database.session() as session:
        revoked = tokens.revoke_token(session, token_id)
    with_.identities.forget()
    return revoked
