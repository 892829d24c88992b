"""Searches that run again by themselves: by the clock, or when devices come and change."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from nas_service.access.identity import Rule
from nas_service.api import events
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Bounds, With
from nas_service.api.events import ScheduleIn, WebhookIn
from nas_service.api.searches import SearchOut
from nas_service.dashboard.rendering import PageRoute, given, page
from nas_service.storage import searches

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_FORM_BYTES = 8192
_NEWEST = Bounds(None, 100)


@router.get("/schedules")
@allow(Rule.READ)
def show(request: Request, with_: With) -> Response:
    """Schedules, searches that follow devices, and who is told."""
    return _shown(request, with_)


@router.post("/schedules")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def add(
    with_: With,
    search_id: Annotated[str, Form(max_length=60)],
    cron: Annotated[str, Form(max_length=200)],
) -> Response:
    """Have a search run again by the clock."""
    events.add_schedule(given(ScheduleIn, search_id=search_id.strip(), cron=cron), with_)
    return RedirectResponse("/schedules", status_code=303)


@router.post("/schedules/{schedule_id}/remove")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def remove(schedule_id: str, with_: With) -> Response:
    """End a schedule."""
    events.remove_schedule(schedule_id, with_)
    return RedirectResponse("/schedules", status_code=303)


@router.post("/schedules/webhooks")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES, secret=True)
def add_webhook(
    request: Request, with_: With, url: Annotated[str, Form(max_length=2000)]
) -> Response:
    """Have an address told of all events; its secret is shown this once."""
    made = events.add_webhook(given(WebhookIn, url=url), with_, Response())
    return _shown(request, with_, secret=made.secret)


@router.post("/schedules/webhooks/{webhook_id}/remove")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def remove_webhook(webhook_id: str, with_: With) -> Response:
    """Forget an address."""
    events.remove_webhook(webhook_id, with_)
    return RedirectResponse("/schedules", status_code=303)


def _shown(request: Request, with_: With, secret: str | None = None) -> Response:
    with with_.database.session() as session:
        following = [SearchOut.of(one) for one in searches.followers(session)]
    return page(
        request,
        "schedules.html",
        schedules=events.list_schedules(with_, _NEWEST).items,
        followers=following,
        webhooks=events.list_webhooks(with_, _NEWEST).items,
        secret=secret,
    )
