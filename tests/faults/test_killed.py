"""SIGKILL to every process of a service, at any moment of a search, again and again."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from nas_service.client import Client
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search

pytestmark = pytest.mark.slow
N_KILLS = 60 if os.environ.get("NAS_TEST_FAULTS") else 3
SEARCH = toy_search(precisions=["fp32"], n_queries=10 * N_KILLS, batch=2, max_latency_ms=5.0)
ENDED = {"succeeded", "failed", "cancelled"}


def _whole(nas: Client, search: str) -> list[Any]:
    evaluations = nas.every(f"/v1/searches/{search}/evaluations")
    told = [(one["number"], str(one["architecture"]), one["accuracy"]) for one in evaluations]
    front = nas.get(f"/v1/searches/{search}/front")["front"]
    points = sorted((str(one["architecture"]), one["predicted_accuracy"]) for one in front)
    return [sorted(told), points]


def _killed(service: Service, n_kills: int) -> list[Any]:
    """What came of the search on a service that was killed so often meanwhile."""
    generator = random.Random(4)  # noqa: S311
    nas = service.client
    service.start()
    try:
        search = nas.submit_search(**SEARCH)["id"]

        def ended() -> bool:
            return nas.search(search)["state"] in ENDED

        for _ in range(n_kills):
            time.sleep(generator.uniform(0.2, 4.0))
            assert not ended(), "it ended before it was killed"
            service.kill()
            service.start()
        service.wait_until(ended, 900)
        found = nas.search(search)
        assert found["state"] == "succeeded", found["problem"]
        assert [one["rank"] for one in nas.winners(search)] == [0]
        return _whole(nas, search)
    finally:
        service.stop()


def test_a_search_that_was_killed_at_any_moment_is_as_if_it_had_not_been(
    prepared: Path, tmp_path: Path
) -> None:
    undisturbed = _killed(Service(copied(prepared, tmp_path / "whole")), 0)
    cut = _killed(Service(copied(prepared, tmp_path / "cut")), N_KILLS)
    assert [number for number, _, _ in cut[0]] == list(range(SEARCH["n_queries"]))
    assert cut == undisturbed
    assert not list((tmp_path / "cut").rglob("partial-*"))
