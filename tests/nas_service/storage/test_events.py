"""Schedules and webhooks: each time and each event counts once, whoever looks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from lookup_tables.target import Device
from nas_service.errors import InvalidSpec, NotFound
from nas_service.search.spec import SearchSpec
from nas_service.storage import datasets, devices, reopening, searches, webhooks
from nas_service.storage.models.events import DeliveryRow, ScheduleRow
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import DEFAULT
from nas_service.storage.session import Database, now
from nas_service.worker import upkeep


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'nas.sqlite'}"
    migrate(url)
    made = Database(url)
    yield made
    made.close()


@pytest.fixture
def search(database: Database) -> str:
    with database.session() as session:
        device = devices.add_device(session, Device("board"))
        dataset = datasets.add_dataset(session, "toy", {"builtin": "digits"})
        spec = SearchSpec(dataset="toy", space="mbconv", device="board")
        return searches.add_search(
            session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
        ).id


def _set_next(database: Database, at: datetime) -> None:
    with database.session() as session:
        for row in session.query(ScheduleRow).all():
            row.next_at = at


def test_a_time_that_has_come_opens_one_search_however_often_one_looks(
    database: Database, search: str
) -> None:
    with database.session() as session:
        made = reopening.add_schedule(session, search, "30 4 * * *")
    assert (made.next_at.hour, made.next_at.minute) == (4, 30)
    at = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)
    _set_next(database, at)
    opened = []
    for _ in range(3):  # three workers look one after the other
        with database.session() as session:
            job = reopening.open_due(session, made.id, at + timedelta(seconds=5))
        opened += [] if job is None else [job]
    assert len(opened) == 1
    with database.session() as session:
        (row,) = session.query(ScheduleRow).all()
        assert row.next_at == at + timedelta(days=1)
        again = searches.get_search(session, opened[0].subject)
    assert again.reopens == search
    assert again.value.device == "board"


def test_a_worker_that_died_after_opening_does_not_open_twice(
    database: Database, search: str
) -> None:
    with database.session() as session:
        made = reopening.add_schedule(session, search, "* * * * *")
    at = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)
    for _ in range(2):
        _set_next(database, at)  # as if moving it on had been lost
        with database.session() as session:
            assert reopening.due_schedules(session, at) == [(made.id, DEFAULT)]
            reopening.open_due(session, made.id, at)
    with database.session() as session:
        assert len(searches.opened_again_from(session, search)) == 1


@pytest.mark.parametrize(
    "cron", ["", "every day", "61 * * * *", "* * * *", "* * * * * *", "0 0 30 2 *", "R * * * *"]
)
def test_a_time_that_never_comes_is_refused(database: Database, search: str, cron: str) -> None:
    with database.session() as session, pytest.raises(InvalidSpec, match="cron"):
        reopening.add_schedule(session, search, cron)


def test_a_schedule_of_no_search_is_refused(database: Database) -> None:
    with database.session() as session, pytest.raises(NotFound):
        reopening.add_schedule(session, "sea_none", "* * * * *")


def test_an_event_goes_to_who_asked_for_it_until_it_is_heard(database: Database) -> None:
    with database.session() as session:
        wants, _ = webhooks.add_webhook(session, "http://one.invalid/a", ["search.finished"])
        webhooks.add_webhook(session, "http://two.invalid/b", ["device.drifted"])
        for _ in range(2):
            webhooks.announce(session, "search.finished", "sea_1", {"n": 1})
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(500 if len(asked) == 1 else 200)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        upkeep.deliver(database, client)
        upkeep.deliver(database, client)  # not yet due again
        assert asked == ["http://one.invalid/a"]
        with database.session() as session:
            (row,) = session.query(DeliveryRow).all()
            assert (row.state, row.answer, row.attempts) == ("waiting", "HTTP 500", 1)
            assert row.next_at > now()
            row.next_at = now()
        upkeep.deliver(database, client)
        upkeep.deliver(database, client)
    assert asked == ["http://one.invalid/a"] * 2
    with database.session() as session:
        page = webhooks.deliveries_of(session, wants.id, cursor=None, limit=10)
    assert [(one.state, one.body["n"]) for one in page.items] == [("delivered", 1)]


def test_an_address_that_never_answers_is_given_up(database: Database) -> None:
    with database.session() as session:
        webhooks.add_webhook(session, "http://one.invalid/a", ["search.finished"])
        webhooks.announce(session, "search.finished", "sea_1", {})

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there", request=request)

    with httpx.Client(transport=httpx.MockTransport(away)) as client:
        for _ in range(webhooks.MAX_ATTEMPTS + 2):
            upkeep.deliver(database, client)
            with database.session() as session:
                for row in session.query(DeliveryRow).all():
                    row.next_at = now()
    with database.session() as session:
        (row,) = session.query(DeliveryRow).all()
    assert (row.state, row.attempts) == ("failed", webhooks.MAX_ATTEMPTS)
    assert "nobody there" in (row.answer or "")


def test_what_is_sent_is_signed_as_the_standard_says(database: Database) -> None:
    with database.session() as session:
        _, secret = webhooks.add_webhook(session, "http://one.invalid/a", ["search.finished"])
        webhooks.announce(session, "search.finished", "sea_1", {"n": 1})
    heard: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        upkeep.deliver(database, client)
    (request,) = heard
    received = StandardWebhook(secret).verify(request.content, dict(request.headers))
    assert received["subject"] == "sea_1"
    with pytest.raises(WebhookVerificationError):
        StandardWebhook(secret).verify(request.content + b" ", dict(request.headers))
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    with pytest.raises(WebhookVerificationError):
        StandardWebhook(other).verify(request.content, dict(request.headers))
