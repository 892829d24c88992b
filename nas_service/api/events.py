"""Webhooks that are told of events, and schedules that open searches again."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from pydantic import Field, field_validator

from nas_service.api.dependencies import Listing, Paging, Strict, With, listing
from nas_service.storage import reopening, webhooks
from nas_service.storage.reopening import Schedule
from nas_service.storage.webhooks import EVENTS, Delivery, Event, Webhook

router = APIRouter(prefix="/v1", tags=["events"])


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
        return url


class ScheduleIn(Strict):
    """When to open a search again: minute, hour, day, month, weekday, in UTC."""

    search_id: str
    cron: Annotated[str, Field(max_length=200)]


@router.post("/webhooks", status_code=201)
def add_webhook(body: WebhookIn, with_: With, response: Response) -> Webhook:
    """Register an address."""
    with with_.database.session() as session:
        added = webhooks.add_webhook(session, body.url, list(body.events))
    response.headers["Location"] = f"/v1/webhooks/{added.id}/deliveries"
    return added


@router.get("/webhooks")
def list_webhooks(with_: With, page: Paging) -> Listing[Webhook]:
    """Addresses, newest first."""
    with with_.database.session() as session:
        return listing(webhooks.list_webhooks(session, cursor=page.cursor, limit=page.limit))


@router.get("/webhooks/{webhook_id}/deliveries")
def deliveries(webhook_id: str, with_: With, page: Paging) -> Listing[Delivery]:
    """What was sent to an address, or waits to be."""
    with with_.database.session() as session:
        found = webhooks.deliveries_of(session, webhook_id, cursor=page.cursor, limit=page.limit)
    return listing(found)


@router.delete("/webhooks/{webhook_id}", status_code=204)
def remove_webhook(webhook_id: str, with_: With) -> None:
    """Forget an address."""
    with with_.database.session() as session:
        webhooks.remove_webhook(session, webhook_id)


@router.post("/schedules", status_code=201)
def add_schedule(body: ScheduleIn, with_: With) -> Schedule:
    """Open a search again by the clock."""
    with with_.database.session() as session:
        return reopening.add_schedule(session, body.search_id, body.cron)


@router.get("/schedules")
def list_schedules(with_: With, page: Paging) -> Listing[Schedule]:
    """Schedules, newest first."""
    with with_.database.session() as session:
        return listing(reopening.list_schedules(session, cursor=page.cursor, limit=page.limit))


@router.delete("/schedules/{schedule_id}", status_code=204)
def remove_schedule(schedule_id: str, with_: With) -> None:
    """End a schedule."""
    with with_.database.session() as session:
        reopening.remove_schedule(session, schedule_id)
