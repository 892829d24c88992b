"""What the typed client does when calls do not get through, and what it makes of odd answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nas_service.client.typed import (
    ApiError,
    Client,
    ClientError,
    NotThisService,
    Unreachable,
    models,
)
from nas_service.client.typed.requests import EventLines, ServerEvent, path, retry_after_s

JOB = {
    "id": "job_1",
    "kind": "search",
    "subject": "s",
    "state": "running",
    "progress": 0.5,
    "message": "",
    "eta_s": None,
    "problem": None,
    "result": None,
    "started_at": None,
    "created_at": "2026-01-01T00:00:00Z",
    "finished_at": None,
}


def client(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://nowhere", transport=httpx.MockTransport(answer))


def test_a_post_that_did_not_get_through_is_sent_again_under_the_same_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            raise httpx.ReadError("the connection was lost")
        if len(seen) == 2:
            return httpx.Response(503, headers={"Retry-After": "7"})
        return httpx.Response(202, json={"href": "/v1/searches/a", "id": "a", "job": JOB})

    asked = models.SearchIn(dataset="d", space="mbconv", device="x", limits={"size_bytes": 1e6})
    assert client(answer).searches.create(asked).id == "a"
    assert len({request.headers["Idempotency-Key"] for request in seen}) == 1
    assert [json.loads(request.content) for request in seen] == [
        {"dataset": "d", "space": "mbconv", "device": "x", "limits": {"size_bytes": 1e6}}
    ] * 3
    assert waits == [0.2, 7.0]


def test_calls_end_after_the_retries_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        raise httpx.ConnectError("refused")

    with pytest.raises(Unreachable, match="nowhere"):
        client(answer).jobs.get("a")
    assert len(seen) == 3


def test_a_refusal_is_not_sent_again() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500, text="<html>proxy</html>")

    with pytest.raises(ApiError, match="proxy") as caught:
        client(answer).jobs.get("a")
    assert (caught.value.status, len(seen)) == (500, 1)


def test_an_unchanged_answer_is_neither_sent_nor_read_again() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tag = request.headers.get("If-None-Match")
        seen.append(tag)
        if tag == '"1"':
            return httpx.Response(304, headers={"ETag": '"1"'})
        return httpx.Response(200, json=JOB, headers={"ETag": '"1"'})

    nas = client(answer)
    first, second = nas.jobs.get("job_1"), nas.jobs.get("job_1")
    assert seen == [None, '"1"']
    assert first == second
    assert nas.jobs.get("job_2").id == "job_1"
    assert seen[-1] is None  # another address is another answer


def test_words_and_fields_of_a_newer_service_are_let_through() -> None:
    newer: dict[str, Any] = {**JOB, "state": "paused", "queue_position": 3}
    found = client(lambda _: httpx.Response(200, json=newer)).jobs.get("a")
    assert found.state == "paused"
    assert found.model_extra == {"queue_position": 3}


def test_another_service_at_the_address_is_said() -> None:
    for text in ("<html>", "[]", '{"id": 1}'):
        nas = client(lambda _, text=text: httpx.Response(200, text=text))
        with pytest.raises(NotThisService, match="nowhere/v1/jobs/a"):
            nas.jobs.get("a")


def test_a_misspelt_field_of_a_request_is_an_error_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="n_querries"):
        models.SearchIn.model_validate(
            {"dataset": "d", "space": "s", "device": "x", "n_querries": 3}
        )


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(ClientError, match="no address"):
        Client("http://host:port")


def test_names_stay_one_step_of_an_address() -> None:
    assert path("/v1/devices/{}/targets", "a/../b?c#d") == "/v1/devices/a%2F..%2Fb%3Fc%23d/targets"


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (": hello\n\n", []),
        ("event: front\ndata: {}\n\n", [ServerEvent("front", "{}")]),
        ("id: 4\ndata: a\ndata: b\n\ndata:c\n\n", [ServerEvent("message", "a\nb", "4")]),
        ("event: end\n\n", []),
        ("data: cut", []),
    ],
)
def test_events_are_read_as_the_standard_says(text: str, events: list[ServerEvent]) -> None:
    lines = EventLines()
    found = [event for line in text.split("\n") if (event := lines.take(line))]
    assert found[: len(events)] == events
    assert len(found) >= len(events)


def test_a_service_is_waited_for_as_it_asks_but_not_for_ever() -> None:
    def asked(value: str) -> httpx.Response:
        return httpx.Response(503, headers={"Retry-After": value})

    assert retry_after_s(asked("3"), 0) == 3.0
    assert retry_after_s(asked("86400"), 0) == 30.0
    assert retry_after_s(asked("Wed, 21 Oct 2015 07:28:00 GMT"), 1) == pytest.approx(0.4)
    assert retry_after_s(None, 0) == pytest.approx(0.2)
