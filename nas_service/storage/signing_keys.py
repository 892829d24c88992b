"""Public halves of the keys that workers sign bundles with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.storage.models import SigningKeyRow
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
    """Every key that has signed, newest first."""
    query = select(SigningKeyRow).order_by(SigningKeyRow.created_at.desc(), SigningKeyRow.id)
    return [value_of(SigningKey, row) for row in session.scalars(query)]
