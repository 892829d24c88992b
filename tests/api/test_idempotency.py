"""Requests that are sent again under a key: answered once, whatever happens between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from nas_service.api.access.rules import all_routes
from nas_service.api.app import create_app
from nas_service.api.idempotency import HEADER
from nas_service.cli.databases import prepare
from nas_service.settings import Settings
from nas_service.storage.answers import ABANDONED, KEPT, STREAMED
from nas_service.storage.models.jobs import AnswerRow
from nas_service.storage.session import Database, now

HERE = "http://127.0.0.1:8000"
KEY = {HEADER: "k-1"}
BODY = {"name": "board", "kind": "board"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(var_dir=tmp_path / "var")
    prepare(made)
    return made


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url=HERE) as client:
        yield client


def test_the_same_request_is_answered_the_same_and_made_once(api: TestClient) -> None:
    first = api.post("/v1/devices", json=BODY, headers=KEY)
    again = api.post("/v1/devices", content='{"kind":"board",   "name":"board"}', headers=KEY)
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert len(api.get("/v1/devices").json()["items"]) == 1
    assert api.post("/v1/devices", json=BODY).status_code == 409  # without the key it is another


def test_another_request_under_the_key_is_refused(api: TestClient) -> None:
    api.post("/v1/devices", json=BODY, headers=KEY)
    other = api.post("/v1/devices", json={"name": "second"}, headers=KEY)
    assert other.status_code == 422
    assert other.json()["field"] == HEADER
    # a key is known by its route, too
    assert api.post("/v1/webhooks", json={"url": "https://a.example"}, headers=KEY).is_success


def test_a_request_that_was_refused_may_be_mended_under_its_key(api: TestClient) -> None:
    assert api.post("/v1/devices", json={"name": "?"}, headers=KEY).status_code == 422
    assert api.post("/v1/devices", json=BODY, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_that_cannot_be_is_named(api: TestClient, key: str) -> None:
    answer = api.post("/v1/devices", json=BODY, headers={HEADER: key})
    assert (answer.status_code, answer.json()["field"]) == (422, HEADER)


def test_a_request_that_is_being_answered_is_not_made_again(
    api: TestClient, settings: Settings
) -> None:
    database = Database(settings.url)
    api.post("/v1/devices", json=BODY, headers=KEY)
    with database.session() as session:  # as if its answer had not come yet
        row = session.query(AnswerRow).one()
        row.status = None
    busy = api.post("/v1/devices", json=BODY, headers=KEY)
    assert busy.status_code == 409
    assert "being answered" in busy.json()["detail"]
    with database.session() as session:  # and as if whoever answered had died over it
        row = session.query(AnswerRow).one()
        row.created_at = now() - ABANDONED - timedelta(seconds=1)
    again = api.post("/v1/devices", json=BODY, headers=KEY)
    assert again.status_code == 409
    assert again.json()["field"] == "name"  # it was made, and the answer lost: said, not hidden
    database.close()


def test_a_key_is_forgotten_after_a_day(api: TestClient, settings: Settings) -> None:
    api.post("/v1/devices", json=BODY, headers=KEY)
    database = Database(settings.url)
    with database.session() as session:
        session.query(AnswerRow).one().created_at = now() - KEPT - timedelta(seconds=1)
    database.close()
    assert api.post("/v1/devices", json={"name": "second"}, headers=KEY).status_code == 201


def test_many_at_once_make_one(api: TestClient) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(api.post("/v1/devices", json=BODY, headers=KEY).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert len(api.get("/v1/devices").json()["items"]) == 1


def test_a_secret_is_shown_once_under_a_key_too(api: TestClient, settings: Settings) -> None:
    asked = {"name": "ci", "permissions": ["read"]}
    made = api.post("/v1/tokens", json=asked, headers=KEY)
    assert made.status_code == 201
    again = api.post("/v1/tokens", json=asked, headers=KEY)
    assert again.status_code == 409
    assert "once" in again.json()["detail"]
    assert len(api.get("/v1/tokens").json()["items"]) == 1
    files = [one for one in settings.var_dir.rglob("*") if one.is_file()]
    assert not [one for one in files if made.json()["secret"].encode() in one.read_bytes()]


def test_an_upload_under_a_key_is_kept_once(api: TestClient) -> None:
    def sent(content: bytes, name: str = "a.onnx") -> Any:
        at = f"/v1/models:upload?filename={name}"
        return api.post(at, content=iter([content[:5], content[5:]]), headers=KEY)

    first, again = sent(b"0123456789"), sent(b"0123456789")
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert len(api.get("/v1/artifacts").json()["items"]) == 1
    for other in (sent(b"0123456780"), sent(b"0123456789", "b.onnx")):
        assert (other.status_code, other.json()["field"]) == (422, HEADER)
    assert len(api.get("/v1/artifacts").json()["items"]) == 1


def test_an_upload_that_was_refused_may_be_mended_under_its_key(api: TestClient) -> None:
    for _ in range(2):
        assert api.post("/v1/lookup-tables", content=b"{", headers=KEY).status_code == 422
    at = "/v1/models:upload?filename="
    assert api.post(f"{at}a.exe", content=b"x", headers=KEY).json()["field"] == "filename"
    assert api.post(f"{at}a.onnx", content=b"x", headers=KEY).status_code == 201


def test_an_upload_that_is_being_answered_is_not_made_again(
    api: TestClient, settings: Settings
) -> None:
    at = "/v1/models:upload?filename=a.onnx"
    assert api.post(at, content=b"x", headers=KEY).status_code == 201
    database = Database(settings.url)
    with database.session() as session:  # as if its answer had not come yet
        row = session.query(AnswerRow).one()
        row.status, row.request = None, STREAMED
    busy = api.post(at, content=b"x", headers=KEY)
    assert busy.status_code == 409
    assert "being answered" in busy.json()["detail"]
    assert len(api.get("/v1/artifacts").json()["items"]) == 1
    database.close()


def test_every_post_takes_a_key_but_agents(api: TestClient) -> None:
    """As the document says it, so that generated clients can send one."""
    document = api.get("/openapi.json").json()["paths"]
    without = set()
    for route in all_routes(api.app.router.routes):  # type: ignore[attr-defined]  # FastAPI's
        if isinstance(route, APIRoute) and "POST" in route.methods and route.include_in_schema:
            told = document[route.path]["post"].get("parameters", [])
            if HEADER not in {one["name"] for one in told}:
                without.add(route.path)
    assert [one for one in without if not one.startswith("/v1/agent")] == []
