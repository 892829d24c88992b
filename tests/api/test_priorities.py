"""Who asks says how urgent it is, and is told to wait where too much of his waits already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nas_service.api.app import create_app
from nas_service.api.idempotency import HEADER
from nas_service.cli.databases import prepare
from nas_service.settings import Settings
from nas_service.storage import datasets
from nas_service.storage.session import Database

HERE = "http://127.0.0.1:8000"
LIMIT = 3
NAMES = ["first", "second", "third", "fourth"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    """A service without a worker: what is asked for waits."""
    settings = Settings(var_dir=tmp_path / "var", max_open_jobs=LIMIT)
    prepare(settings)
    with TestClient(create_app(settings), base_url=HERE) as client:
        client.post("/v1/devices", json={"name": "board"}).raise_for_status()
        yield client


def _import(api: TestClient, name: str, **headers: str) -> Any:
    body = {"name": name, "builtin": "digits"}
    return api.post("/v1/datasets", json=body, headers=headers)


def test_who_has_too_much_waiting_is_told_when_to_ask_again(api: TestClient) -> None:
    for name in NAMES[:LIMIT]:
        assert _import(api, name).status_code == 202
    refused = _import(api, NAMES[LIMIT])
    assert refused.status_code == 429
    assert refused.headers["Retry-After"].isdecimal()
    assert refused.json()["type"] == "/problems/too-many"
    assert refused.json()["limit"] == LIMIT
    assert len(api.get("/v1/jobs").json()["items"]) == LIMIT  # nothing of it was kept
    assert not [one for one in api.get("/v1/datasets").json()["items"] if one["name"] == "fourth"]
    first = api.get("/v1/jobs").json()["items"][-1]["id"]
    assert api.post(f"/v1/jobs/{first}:cancel").status_code == 202
    assert _import(api, NAMES[LIMIT]).status_code == 202


def test_a_request_that_was_answered_is_answered_again_though_no_more_are_taken(
    api: TestClient,
) -> None:
    answers = [_import(api, name, **{HEADER: name}) for name in NAMES[:LIMIT]]
    again = _import(api, NAMES[0], **{HEADER: NAMES[0]})
    assert again.status_code == 202
    assert again.json()["job"]["id"] == answers[0].json()["job"]["id"]
    assert _import(api, NAMES[LIMIT], **{HEADER: NAMES[LIMIT]}).status_code == 429


def test_a_search_that_was_taken_is_answered_again_beyond_the_limit(tmp_path: Path) -> None:
    """Its answer was lost, and meanwhile schedules and a lower limit made it too many."""
    body, key = {"dataset": "digits", "device": "board"}, {HEADER: "mine"}
    for limit, status in ((3, 202), (1, 202)):
        settings = Settings(var_dir=tmp_path / "var", max_open_jobs=limit)
        prepare(settings)
        with TestClient(create_app(settings), base_url=HERE) as client:
            if limit == 3:
                client.post("/v1/devices", json={"name": "board"}).raise_for_status()
                imported = _import(client, "digits").json()["job"]["id"]
                database = Database(settings.url)
                with database.session() as session:
                    stored = datasets.get_dataset(session, "digits")
                    facts = {"size": 16, "channels": 1, "classes": ["a", "b"], "n_train": 10}
                    datasets.set_imported(
                        session, stored.id, digest="d" * 64, sha256="a" * 64, facts=facts
                    )
                database.close()
                assert client.get(f"/v1/jobs/{imported}").json()["state"] == "queued"
            answer = client.post("/v1/searches", json=body, headers=key)
            assert answer.status_code == status, answer.text
            if limit == 1:
                other = client.post("/v1/searches", json=body, headers={HEADER: "other"})
                assert other.status_code == 429


def test_a_job_that_waits_says_how_many_come_before_it(api: TestClient) -> None:
    jobs = [_import(api, name).json()["job"]["id"] for name in NAMES[:LIMIT]]
    told = [api.get(f"/v1/jobs/{one}").json() for one in jobs]
    assert [one["n_before"] for one in told] == [0, 1, 2]
    assert [one["priority"] for one in told] == ["normal"] * LIMIT
    assert told[2]["message"] == "waiting for a worker, 2 jobs before it"


def test_what_is_no_priority_is_refused_by_name(api: TestClient) -> None:
    for path in ("/v1/searches", "/v1/compressions"):
        refused = api.post(path, json={"priority": "urgent", "dataset": "x", "device": "board"})
        assert refused.status_code == 422
        assert refused.json()["field"] == "priority"
