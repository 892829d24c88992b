"""Webhooks: addresses that are told of events, each event once, again until it was heard."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nas_service.errors import NotFound
from nas_service.storage.models.events import DeliveryRow, WebhookRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.scope import scope_of
from nas_service.storage.session import new_id, now

Event = Literal[
    "search.finished",
    "search.failed",
    "search.cancelled",
    "device.drifted",
    "device.unreachable",
]
EVENTS: tuple[Event, ...] = get_args(Event)
MAX_ATTEMPTS = 8
_FIRST_PAUSE_S = 2.0
_CLAIM_S = 60.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address and the events it asks for."""

    id: str
    url: str
    events: list[Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way."""

    id: str
    webhook_id: str
    event: str
    body: dict[str, Any]
    state: str
    attempts: int
    answer: str | None
    created_at: datetime


def add_webhook(session: Session, url: str, events: list[str]) -> tuple[Webhook, str]:
    """Register an address; gives the secret that what is sent there is signed with."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    row = WebhookRow(id=new_id("web"), url=url, events=events, secret=secret, created_at=now())
    session.add(row)
    session.flush()
    return value_of(Webhook, row), secret


def set_events(session: Session, webhook_id: str, events: list[str]) -> Webhook:
    """Have an address told of these events."""
    row = _webhook(session, webhook_id)
    row.events = events
    session.flush()
    return value_of(Webhook, row)


def remove_webhook(session: Session, webhook_id: str) -> None:
    """Forget an address and what was on its way to it."""
    session.delete(_webhook(session, webhook_id))


def _webhook(session: Session, webhook_id: str) -> WebhookRow:
    row = session.get(WebhookRow, webhook_id)
    if row is None:
        raise NotFound(f"no webhook {webhook_id!r}")
    return row


def get_webhook(session: Session, webhook_id: str) -> Webhook:
    """The address of that id."""
    return value_of(Webhook, _webhook(session, webhook_id))


def list_webhooks(session: Session, *, cursor: str | None, limit: int) -> Page[Webhook]:
    """Addresses, newest first."""
    return page_of(
        session,
        select(WebhookRow),
        WebhookRow.id,
        lambda row: value_of(Webhook, row),
        cursor=cursor,
        limit=limit,
    )


def deliveries_of(
    session: Session, webhook_id: str, *, cursor: str | None, limit: int
) -> Page[Delivery]:
    """What was sent, or is to be sent, to an address."""
    _webhook(session, webhook_id)
    return page_of(
        session,
        select(DeliveryRow).where(DeliveryRow.webhook_id == webhook_id),
        DeliveryRow.id,
        lambda row: value_of(Delivery, row),
        cursor=cursor,
        limit=limit,
    )


def announce(session: Session, event: str, subject: str, body: dict[str, Any]) -> None:
    """Put an event on its way to all of the project who asked for it.

    The same event again changes nothing.
    """
    if scope_of(session).project_id is None:
        raise ValueError("an event belongs to a project: announce it in that scope")
    for row in session.scalars(select(WebhookRow)).all():
        if event in row.events:
            delivery = DeliveryRow(
                id=f"{row.id}-{event}-{subject}"[:120],
                webhook_id=row.id,
                event=event,
                body={"event": event, "subject": subject, **body},
                state="waiting",
                attempts=0,
                next_at=now(),
                created_at=now(),
            )
            insert_once(session, delivery)


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose time has come: where it goes, and what it is signed with."""

    delivery: Delivery
    url: str
    secret: str | None


def forget_deliveries(session: Session, before: datetime, at_most: int) -> int:
    """Remove so many that were sent, or given up, of events before then; returns how many."""
    some = select(DeliveryRow.id).where(
        DeliveryRow.created_at < before, DeliveryRow.state != "waiting"
    )
    query = delete(DeliveryRow).where(DeliveryRow.id.in_(some.limit(at_most)))
    return len(session.execute(query.returning(DeliveryRow.id)).all())


def claim_due(session: Session) -> Due | None:
    """A delivery whose time has come; nobody else gets it for a while."""
    at = now()
    query = (
        select(DeliveryRow)
        .where(DeliveryRow.state == "waiting", DeliveryRow.next_at <= at)
        .order_by(DeliveryRow.next_at)
        .limit(20)
    )
    for row in session.scalars(query).all():
        claimed = session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id == row.id, DeliveryRow.attempts == row.attempts)
            .values(attempts=row.attempts + 1, next_at=at + timedelta(seconds=_CLAIM_S))
            .returning(DeliveryRow.id)
        )
        if claimed.first() is not None:
            hook = session.get_one(WebhookRow, row.webhook_id)
            session.refresh(row)
            return Due(value_of(Delivery, row), hook.url, hook.secret)
    return None


def note_answer(session: Session, delivery: Delivery, answer: str, *, heard: bool) -> None:
    """Note what an address answered; one that did not hear is tried again, ever later."""
    pause = timedelta(seconds=_FIRST_PAUSE_S * 4.0 ** (delivery.attempts - 1))
    ended = "delivered" if heard else "failed" if delivery.attempts >= MAX_ATTEMPTS else None
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery.id)
        .values(state=ended or "waiting", answer=answer[:500], next_at=now() + pause)
    )
