"""A thousand requests under one key, all at once, make one search."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest

from nas_service.api.idempotency import HEADER
from tests.postgres import cluster
from tests.service import Service

N, AT_ONCE = 1000, 100


@pytest.mark.slow
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_a_thousand_requests_under_one_key_make_one_search(where: str, tmp_path: Path) -> None:
    with cluster() if where == "postgresql" else nullcontext() as url:
        service = Service(tmp_path / "var", database_url=url)
        service.start()
        try:
            service.client.wait(service.client.add_dataset("digits", builtin="digits")["job"]["id"])
            service.client.add_device("board", kind="board")
            answers = _asked(f"{service.url}/v1/searches", {"dataset": "digits", "device": "board"})
            found = list(service.client.every("/v1/searches"))
        finally:
            service.stop()
    assert len(found) == 1
    assert Counter((one.status_code, one.json()["id"]) for one in answers) == {
        (202, found[0]["id"]): N
    }


def _asked(url: str, body: dict[str, str]) -> list[httpx.Response]:
    """What N requests were answered, AT_ONCE of which are always on their way."""
    limits = httpx.Limits(max_connections=AT_ONCE)
    with (
        httpx.Client(timeout=120, limits=limits, trust_env=False) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        return list(
            pool.map(lambda _: client.post(url, json=body, headers={HEADER: "one"}), range(N))
        )
