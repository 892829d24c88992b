"""Public halves of the keys that workers sign bundles with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.errors import NotFound
from nas_service.storage.models.files import SigningKeyRow
from nas_service.storage.rows import insert_once, value_of
from nas_service.storage.session import now


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key in PEM, by which bundles are checked, and since when it has signed."""

    id: str
    pem: str
    created_at: datetime


def add_key(session: Session, key_id: str, pem: str) -> None:
    """Store a public key, unless it is there."""
    insert_once(session, SigningKeyRow(id=key_id, pem=pem, created_at=now()))


def list_keys(session: Session) -> list[SigningKey]:
    """Every key that signs or has signed, newest first, but for those that were retired."""
    query = select(SigningKeyRow).where(SigningKeyRow.retired_at.is_(None))
    query = query.order_by(SigningKeyRow.created_at.desc(), SigningKeyRow.id)
    return [value_of(SigningKey, row) for row in session.scalars(query)]


def retire_key(session: Session, key_id: str) -> None:
    """Trust a key no more, nor what it signed or will sign; `NotFound` where there is none."""
    row = session.get(SigningKeyRow, key_id)
    if row is None:
        raise NotFound(f"no signing key {key_id!r}")
    row.retired_at = row.retired_at or now()
