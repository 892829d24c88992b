"""Browsers that have logged in: a random cookie here stands for a token or a person there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nas_service.access.identity import Identity, Role
from nas_service.access.secret import digest_of, new_secret
from nas_service.errors import Unauthorized
from nas_service.storage.models.access import LoginRow, MembershipRow, UserRow
from nas_service.storage.session import now
from nas_service.storage.tokens import identity_of_id

LASTS = timedelta(hours=12)


def add_login(session: Session, who: Identity) -> str:
    """Log a browser in as somebody; gives the secret for its cookie."""
    secret = new_secret()
    at = now()
    session.execute(delete(LoginRow).where(LoginRow.expires_at < at))
    session.add(
        LoginRow(
            sha256=digest_of(secret),
            token_id=who.id if who.kind == "token" else None,
            user_id=who.id if who.kind == "user" else None,
            project_id=who.project_id,
            created_at=at,
            expires_at=at + LASTS,
        )
    )
    session.flush()
    return secret


def identity_of(session: Session, secret: str) -> Identity:
    """Who logged in with this cookie, as they are now: asked in the service's own scope.

    Raises:
        Unauthorized: nobody did, it has expired, or what it stood for has ended.
    """
    row = session.get(LoginRow, digest_of(secret))
    if row is None or row.expires_at <= now():
        raise Unauthorized("this login has ended")
    if row.token_id is not None:
        found = identity_of_id(session, row.token_id)
        if found is None:
            raise Unauthorized("the token of this login was removed")
        return replace(found, by_cookie=True)
    return _person(session, row)


def _person(session: Session, row: LoginRow) -> Identity:
    user = session.get(UserRow, row.user_id)
    role = session.scalar(
        select(MembershipRow.role).where(
            MembershipRow.user_id == row.user_id, MembershipRow.project_id == row.project_id
        )
    )
    if user is None or role is None:
        raise Unauthorized("this login's person is no member of its project any more")
    permissions = Role(role).permissions
    return Identity("user", user.id, user.name, row.project_id, permissions, by_cookie=True)


def move(session: Session, secret: str, project_id: str) -> None:
    """Have a login go on in another project."""
    session.execute(
        update(LoginRow).where(LoginRow.sha256 == digest_of(secret)).values(project_id=project_id)
    )


def end_login(session: Session, secret: str) -> None:
    """Log a browser out."""
    session.execute(delete(LoginRow).where(LoginRow.sha256 == digest_of(secret)))
