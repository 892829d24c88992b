"""Tokens: made, shown once, looked up by digest, revoked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from nas_service.access.identity import Identity, Permission, included
from nas_service.access.secret import digest_of, new_secret
from nas_service.errors import NotFound, Unauthorized
from nas_service.storage.models.access import TokenRow
from nas_service.storage.rows import Page, page_of, value_of
from nas_service.storage.session import new_id, now

_NOTED_EVERY = timedelta(seconds=60)
"""A use is noted so often at most: a page that polls must not write with each poll."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be shown again: all but its secret."""

    id: str
    project_id: str
    name: str
    permissions: list[Permission]
    operator: bool
    device_id: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def add_token(
    session: Session,
    name: str,
    permissions: Iterable[Permission],
    *,
    created_by: str,
    expires_at: datetime | None = None,
    device_id: str | None = None,
    operator: bool = False,
    project_id: str | None = None,
) -> tuple[Token, str]:
    """A new token of the session's project, and its secret, which is kept nowhere.

    In the service's own scope `project_id` says whose it is.
    """
    secret = new_secret()
    row = TokenRow(
        id=new_id("tok"),
        name=name,
        sha256=digest_of(secret),
        permissions=sorted(permissions),
        operator=operator,
        device_id=device_id,
        created_by=created_by,
        created_at=now(),
        expires_at=expires_at,
        **({} if project_id is None else {"project_id": project_id}),
    )
    session.add(row)
    session.flush()
    return _token(row), secret


def identity_of(session: Session, secret: str) -> Identity:
    """Who has this secret; to be asked in the service's own scope, since it says the project.

    Raises:
        Unauthorized: nobody has it, or it has expired or was revoked.
    """
    found = _identity(session, TokenRow.sha256 == digest_of(secret))
    if found is None:
        raise Unauthorized(
            "no device has this token, nor anybody else; `nas devices token NAME` or "
            "`nas tokens add` makes one"
        )
    return found


def identity_of_id(session: Session, token_id: str) -> Identity | None:
    """The same of a stored token by its id; None where it was removed."""
    return _identity(session, TokenRow.id == token_id)


_ASKED = (
    TokenRow.id,
    TokenRow.name,
    TokenRow.project_id,
    TokenRow.permissions,
    TokenRow.operator,
    TokenRow.device_id,
    TokenRow.expires_at,
    TokenRow.last_used_at,
    TokenRow.revoked_at,
)


def _identity(session: Session, which: ColumnElement[bool]) -> Identity | None:
    """Who a token stands for; its use is noted. Columns and no row object: every request asks."""
    row = session.execute(select(*_ASKED).where(which)).first()
    if row is None:
        return None
    at = now()
    if row.revoked_at is not None:
        raise Unauthorized("this token was revoked")
    if row.expires_at is not None and row.expires_at <= at:
        raise Unauthorized("this token has expired")
    if row.last_used_at is None or row.last_used_at < at - _NOTED_EVERY:
        session.execute(update(TokenRow).where(TokenRow.id == row.id).values(last_used_at=at))
    return Identity(
        "token",
        row.id,
        row.name,
        row.project_id,
        included(frozenset(map(Permission, row.permissions))),
        device_id=row.device_id,
        operator=row.operator,
    )


def list_tokens(session: Session, *, cursor: str | None, limit: int) -> Page[Token]:
    """Tokens, newest first, revoked and expired ones among them."""
    return page_of(session, select(TokenRow), TokenRow.id, _token, cursor=cursor, limit=limit)


def revoke_token(session: Session, token_id: str) -> Token:
    """End a token; again changes nothing."""
    row = session.get(TokenRow, token_id)
    if row is None:
        raise NotFound(f"no token {token_id!r}")
    row.revoked_at = row.revoked_at or now()
    session.flush()
    return _token(row)


def revoke_tokens_of_device(session: Session, device_id: str) -> None:
    """End all tokens of a device's agent."""
    session.execute(
        update(TokenRow)
        .where(TokenRow.device_id == device_id, TokenRow.revoked_at.is_(None))
        .values(revoked_at=now())
    )


def n_usable(session: Session) -> int:
    """How many tokens open something beside what agents need."""
    alive = or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > now())
    return (
        session.scalar(
            select(func.count()).where(
                TokenRow.revoked_at.is_(None), alive, TokenRow.device_id.is_(None)
            )
        )
        or 0
    )


def _token(row: TokenRow) -> Token:
    permissions = list(map(Permission, row.permissions))
    return replace(value_of(Token, row), permissions=permissions)
