"""Webhooks that are told of events, and schedules that open searches again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, field_validator

from nas_service.access.identity import Rule
from nas_service.addresses import refusal_of_host
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, Strict, With, listing, listing_of
from nas_service.api.documents.base import Document, Sent
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import InvalidSpec
from nas_service.storage import reopening, webhooks
from nas_service.storage.reopening import Schedule
from nas_service.storage.webhooks import EVENTS, Event

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["events"])


class WebhookIn(Strict):
    """An address, and the events that it is to be told of; all unless said."""

    url: str = Field(max_length=2000)
    events: tuple[Event, ...] = Field(default=EVENTS, min_length=1)

    @field_validator("url")
    @classmethod
    def http(cls, url: str) -> str:
        """An http address with a host."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise ValueError(f"not an address: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not an http or https address")
        if parts.username or parts.password:
            raise ValueError("an address with a user's name or password; what is sent is signed")
        return url


class WebhookOut(Sent):
    """An address and the events it asks for."""

    id: str
    url: str
    events: list[Event]
    created_at: datetime


class EventBody(Document):
    """What an address is told: an event, whom it is about, and what the event says."""

    event: Event
    subject: str


class DeliveryOut(Sent):
    """One event on its way."""

    id: str
    webhook_id: str
    event: Event
    body: EventBody
    state: str
    attempts: int
    answer: str | None
    created_at: datetime


class WebhookMade(BaseModel):
    """An address and the secret, as Standard Webhooks has it, by which it knows our messages."""

    id: str
    url: str
    events: list[Event]
    created_at: datetime
    secret: str


class ScheduleIn(Strict):
    """When to open a search again: minute, hour, day, month, weekday, in UTC."""

    search_id: str
    cron: Annotated[str, Field(max_length=200)]


@router.post("/webhooks", status_code=201)
@allow(Rule.WRITE, secret=True)
def add_webhook(body: WebhookIn, with_: With, response: Response) -> WebhookMade:
    """Register an address; what is sent there is signed with a secret that is shown this once."""
    host = urlsplit(body.url).hostname or ""
    if (why := refusal_of_host(host, with_.settings.outbound_networks)) is not None:
        raise InvalidSpec(f"url: {why}", field="url")
    with with_.database.session() as session:
        added, secret = webhooks.add_webhook(session, body.url, list(body.events))
    response.headers["Location"] = f"/v1/webhooks/{added.id}"
    return WebhookMade(**asdict(added), secret=secret)


@router.get("/webhooks/{webhook_id}")
@allow(Rule.READ)
def get_webhook(webhook_id: str, with_: With) -> WebhookOut:
    """One address."""
    with with_.database.session() as session:
        return WebhookOut.of(webhooks.get_webhook(session, webhook_id))


@router.get("/webhooks")
@allow(Rule.READ)
def list_webhooks(with_: With, page: Paging) -> Listing[WebhookOut]:
    """Addresses, newest first."""
    with with_.database.session() as session:
        found = webhooks.list_webhooks(session, cursor=page.cursor, limit=page.limit)
    return listing_of(found, WebhookOut.of)


class WebhookChanges(Strict):
    """The events that an address is to be told of from now on."""

    events: tuple[Event, ...] = Field(min_length=1)


@router.patch("/webhooks/{webhook_id}")
@allow(Rule.WRITE)
def change_webhook(webhook_id: str, body: WebhookChanges, with_: With) -> WebhookOut:
    """Change what an address is told of; another address is another webhook with its own secret."""
    with with_.database.session() as session:
        return WebhookOut.of(webhooks.set_events(session, webhook_id, list(body.events)))


@router.get("/webhooks/{webhook_id}/deliveries")
@allow(Rule.READ)
def deliveries(webhook_id: str, with_: With, page: Paging) -> Listing[DeliveryOut]:
    """What was sent to an address, or waits to be."""
    with with_.database.session() as session:
        found = webhooks.deliveries_of(session, webhook_id, cursor=page.cursor, limit=page.limit)
    return listing_of(found, DeliveryOut.of)


@router.delete("/webhooks/{webhook_id}", status_code=204)
@allow(Rule.WRITE)
def remove_webhook(webhook_id: str, with_: With) -> None:
    """Forget an address."""
    with with_.database.session() as session:
        webhooks.remove_webhook(session, webhook_id)


@router.post("/schedules", status_code=201)
@allow(Rule.WRITE)
def add_schedule(body: ScheduleIn, with_: With) -> Schedule:
    """Open a search again by the clock."""
    with with_.database.session() as session:
        return reopening.add_schedule(session, body.search_id, body.cron)


@router.get("/schedules")
@allow(Rule.READ)
def list_schedules(with_: With, page: Paging) -> Listing[Schedule]:
    """Schedules, newest first."""
    with with_.database.session() as session:
        return listing(reopening.list_schedules(session, cursor=page.cursor, limit=page.limit))


@router.get("/schedules/{schedule_id}")
@allow(Rule.READ)
def get_schedule(schedule_id: str, with_: With) -> Schedule:
    """One schedule."""
    with with_.database.session() as session:
        return reopening.get_schedule(session, schedule_id)


class ScheduleChanges(Strict):
    """Other times."""

    cron: Annotated[str, Field(max_length=200)]


@router.patch("/schedules/{schedule_id}")
@allow(Rule.WRITE)
def change_schedule(schedule_id: str, body: ScheduleChanges, with_: With) -> Schedule:
    """Have a search opened again at other times."""
    with with_.database.session() as session:
        return reopening.set_cron(session, schedule_id, body.cron)


@router.delete("/schedules/{schedule_id}", status_code=204)
@allow(Rule.WRITE)
def remove_schedule(schedule_id: str, with_: With) -> None:
    """End a schedule."""
    with with_.database.session() as session:
        reopening.remove_schedule(session, schedule_id)
