"""Server-sent events of a search: told what changes, until it ends or one may not see it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nas_service.access.identity import Permission
from nas_service.settings import Settings
from nas_service.storage import jobs, searches, tokens
from nas_service.storage.session import Database
from tests.prepared import copied
from tests.service import Service


@pytest.fixture(scope="module")
def place(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(prepared, tmp_path_factory.mktemp("streams") / "var")


@pytest.fixture(scope="module")
def secret(place: Path) -> str:
    database = Database(Settings(var_dir=place).url)
    with database.session() as session:
        _, made = tokens.add_token(session, "a", [Permission.ADMIN], created_by="a test")
    database.close()
    return made


@pytest.fixture(scope="module")
def service(place: Path, secret: str) -> Iterator[Service]:
    made = Service(place, token=secret, NAS_REQUIRE_TOKEN="true")  # noqa: S106  # a switch
    made.start()
    yield made
    made.stop()


def _events(text: str) -> list[tuple[str, dict[str, object]]]:
    parts = [one.split("\n") for one in text.split("\n\n") if one.startswith("event: ")]
    return [(name[7:], json.loads(data[6:])) for name, data in parts]


def test_a_search_that_has_ended_is_told_at_once(service: Service, secret: str) -> None:
    search = service.client.get("/v1/searches")["items"][0]
    address = f"{service.url}/v1/searches/{search['id']}/events"
    assert httpx.get(address, trust_env=False).status_code == 401
    answer = httpx.get(address, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = _events(answer.text)
    assert [name for name, _ in told] == ["progress", "front", "end"]
    assert told[0][1]["state"] == "succeeded"
    assert told[1][1] == {"revision": search["revision"]}
    assert told[2][1] == {"reason": "succeeded"}
    gone = httpx.get(
        f"{service.url}/v1/searches/none/events",
        headers={"Authorization": f"Bearer {secret}"},
        trust_env=False,
    )
    assert gone.status_code == 404


def test_changes_are_told_and_a_revoked_token_ends_it(service: Service, place: Path) -> None:
    nas = service.client
    first = nas.get("/v1/searches")["items"][0]
    made = nas.post("/v1/tokens", {"name": "looker", "permissions": ["read"]})
    database = Database(Settings(var_dir=place).url)
    with database.session() as session:
        known = searches.get_search(session, first["id"])
        added = searches.add_search(
            session,
            known.value,
            device_id=known.device_id,
            dataset_id=known.dataset_id,
            data_digest=None,
        )
        # a job that no worker is given: it stays as it is put down
        jobs.add_job(session, added.id, "search", subject=added.id, params={})
        jobs.start(session, added.id)
    got: list[str] = []

    def listen() -> None:
        headers = {"Authorization": f"Bearer {made['secret']}"}
        address = f"{service.url}/v1/searches/{added.id}/events?most_s=60"
        with httpx.stream("GET", address, headers=headers, trust_env=False, timeout=60) as answer:
            got.extend(answer.iter_text())

    listener = threading.Thread(target=listen)
    listener.start()
    _until(lambda: "progress" in "".join(got))
    with database.session() as session:
        jobs.progress(session, added.id, fraction=0.25, message="a quarter", eta_s=None)
    _until(lambda: "a quarter" in "".join(got))
    nas.delete(f"/v1/tokens/{made['token']['id']}")
    listener.join(30)
    assert not listener.is_alive()
    name, told = _events("".join(got))[-1]
    assert (name, told) == ("end", {"reason": "you may not see this any more"})
    database.close()


def _until(happened: object) -> None:
    for _ in range(200):
        if happened():  # type: ignore[operator]  # a function
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in 20 s")
