"""Requests that are refused whoever sends them, and odd values that break nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nas_service.api.access.bodies import MAX_BODY_BYTES
from nas_service.api.access.plain import require_plain
from nas_service.api.app import create_app
from nas_service.api.guard import hosts_for
from nas_service.cli.databases import prepare
from nas_service.errors import InvalidSpec
from nas_service.settings import Settings

HERE = "http://127.0.0.1:8000"
JSON = {"content-type": "application/json"}


def _settings(tmp_path: Path, **given: Any) -> Settings:
    made = Settings(var_dir=tmp_path / "var", data_roots=str(tmp_path), **given)
    prepare(made)
    return made


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(_settings(tmp_path)), base_url=HERE) as client:
        yield client


def _refused(answer: Any, status: int, named: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert named in answer.json()["detail"]


def test_a_service_of_this_machine_answers_to_its_names_alone(api: TestClient) -> None:
    for host in ("127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"):
        assert api.get("/v1/devices", headers={"host": host}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example:8000", "", "[::1", "192.168.0.7"):
        _refused(api.get("/v1/devices", headers={"host": host}), 403, "NAS_ALLOWED_HOSTS")


def test_hosts_are_those_of_the_setting_or_of_the_address() -> None:
    assert hosts_for("0.0.0.0", "") is None  # noqa: S104  # nothing listens here
    assert hosts_for("nas.internal", "") is None
    assert hosts_for("127.0.0.1", "nas.example, Other") == {"nas.example", "other"}
    assert hosts_for("::1", "") == hosts_for("localhost", "") == {"127.0.0.1", "localhost", "::1"}


def test_pages_of_other_sites_change_nothing(api: TestClient) -> None:
    plain = {"content-type": "text/plain"}
    path = "/v1/artifacts:collect-garbage"
    for origin in ("http://evil.example", "http://127.0.0.1:9000", "null", "http://[", HERE + ".x"):
        _refused(api.post(path, headers={**plain, "origin": origin}), 403, "may change nothing")
        assert api.get("/v1/devices", headers={"origin": origin}).status_code == 200
    assert api.post(path, headers={"origin": HERE}).status_code == 200  # the service's own page
    assert api.post(path).status_code == 200  # a program's


def test_a_document_is_not_read_beyond_its_limit(api: TestClient) -> None:
    large = b'{"name": "' + b"a" * MAX_BODY_BYTES + b'"}'
    _refused(api.post("/v1/devices", content=large, headers=JSON), 413, "at most 33,554,432 bytes")

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(large), 1 << 20):
            yield large[start : start + (1 << 20)]

    assert api.post("/v1/devices", content=chunks(), headers=JSON).status_code == 413
    assert api.get("/v1/devices").json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/devices", {"name": "y", "labels": {"\ud800": "a"}}),
        ("POST", "/v1/devices", {"name": "y", "labels": {"a": "b" * 201}}),
        ("POST", "/v1/datasets", {"name": "y", "path": "\u0000"}),
        ("POST", "/v1/datasets", {"name": "y", "path": "a" * 5000}),
        ("POST", "/v1/prices", {"space": "mbconv", "decisions": {"\ud800": 1}}),
        ("POST", "/v1/searches", {"dataset": "\ud800", "space": "mbconv", "device": "x"}),
        ("POST", "/v1/search-spaces", {"dataset": "d", "definition": {"define": {"a": "\ud800"}}}),
        ("POST", "/v1/schedules", {"search_id": "\ud83d", "cron": "0 3 * * *"}),
        ("GET", "/v1/searches/x/front?revision=99999999999999999999", None),
    ],
)
def test_odd_values_are_named_and_stored_nowhere(
    method: str, path: str, body: Any, api: TestClient
) -> None:
    content = None if body is None else json.dumps(body).encode()
    answer = api.request(method, path, content=content, headers=JSON)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["detail"]
    assert api.get("/v1/devices").json()["items"] == []
    assert api.get("/v1/datasets").json()["items"] == []


def test_half_a_character_is_named_and_a_whole_one_is_taken(api: TestClient) -> None:
    answer = api.post("/v1/devices", content=b'{"name": "a", "model": "\\ud83d"}', headers=JSON)
    _refused(answer, 422, "body")
    assert r"\ud83d, half of a character" in answer.json()["detail"]
    whole = b'{"name": "a", "model": "\\ud83d\\ude00"}'
    assert api.post("/v1/devices", content=whole, headers=JSON).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "name": "b"}',
        b'{"name": "a", "labels": {"arch": "arm64", "arch": "x86"}}',
        b'{"name": "a", "\\u006eame": "b"}',
    ],
)
def test_a_key_that_is_given_twice_is_named(body: bytes, api: TestClient) -> None:
    answer = api.post("/v1/devices", content=body, headers=JSON)
    _refused(answer, 422, "body")
    assert "is given twice" in answer.json()["detail"]
    assert api.get("/v1/devices").json()["items"] == []


def test_a_limit_that_is_infinite_is_named(api: TestClient) -> None:
    spec = '{"dataset": "d", "space": "mbconv", "device": "x", "limits": {"size_bytes": 1e999}}'
    answer = api.post("/v1/searches", content=spec, headers=JSON)
    _refused(answer, 422, "limits.size_bytes")


def test_an_import_that_failed_is_told_again_to_who_asks_with_its_key(api: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = api.post("/v1/datasets", json={"name": "d", "builtin": "digits"}, headers=headers)
    job = first.json()["job"]["id"]
    assert api.post(f"/v1/jobs/{job}:cancel").status_code == 202
    assert api.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"  # nobody had begun with it
    again = api.post("/v1/datasets", json={"name": "d", "builtin": "digits"}, headers=headers)
    assert again.status_code == 202
    assert again.json()["job"]["id"] == job
    assert again.json()["job"]["state"] == "cancelled"


def test_a_key_that_is_given_twice_is_found_at_once() -> None:
    """In one walk: of a million keys, one of which is there twice, each is looked at once."""
    keys = [f"k{n}" for n in range(1_000_000)]
    body = "{" + ",".join(f'"{one}":0' for one in [*keys, keys[-1]]) + "}"
    with pytest.raises(InvalidSpec, match="'k999999' is given twice"):
        require_plain(body.encode())
