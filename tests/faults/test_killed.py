"""SIGKILL to every process of a service, at any moment of a search, again and again."""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from nas_service.client import Client
from nas_service.settings import Settings
from nas_service.storage.models.searches import EvaluationRow
from nas_service.storage.session import Database
from tests.postgres import cluster
from tests.prepared import copied, prepare
from tests.service import Service
from tests.toy_search import toy_search

pytestmark = pytest.mark.slow
LONG = bool(os.environ.get("NAS_TEST_FAULTS"))
N_KILLS = int(os.environ.get("NAS_TEST_KILLS") or (500 if LONG else 3))
SEARCH = toy_search(
    precisions=["fp32"],
    n_queries=max(40 * N_KILLS, 60),
    batch=8 if LONG else 2,
    max_latency_ms=5.0,
)
_log = logging.getLogger(__name__)
ENDED = {"succeeded", "failed", "cancelled"}


Counted = Callable[[str], int]
"""How many evaluations a search has."""


@dataclass(frozen=True)
class World:
    """Makes services that have the same data, device, tables and supernet each."""

    service: Callable[[str], tuple[Service, Counted]]
    folder: Path


def _counted(settings: Settings) -> Counted:
    def n_evaluations(search: str) -> int:
        query = select(func.count()).where(EvaluationRow.search_id == search)
        with closing(Database(settings.url)) as database, database.session() as session:
            return int(session.scalar(query) or 0)

    return n_evaluations


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        made = request.getfixturevalue("prepared")

        def embedded(name: str) -> tuple[Service, Counted]:
            folder = copied(made, tmp_path / name)
            return Service(folder), _counted(Settings(var_dir=folder))

        yield World(embedded, tmp_path)
        return
    with cluster() as url:
        prepare(tmp_path / "prepared", url)

        def service(name: str) -> tuple[Service, Counted]:
            with psycopg.connect(url.replace("/postgres", "/template1"), autocommit=True) as server:
                server.execute(f'CREATE DATABASE "{name}" TEMPLATE postgres')
            folder = copied(tmp_path / "prepared", tmp_path / name)
            own = url.replace("/postgres", f"/{name}")
            counted = _counted(Settings(var_dir=folder, database_url=own))
            return Service(folder, database_url=own), counted

        yield World(service, tmp_path)


def _whole(nas: Client, search: str) -> list[Any]:
    evaluations = nas.every(f"/v1/searches/{search}/evaluations")
    told = [(one["number"], str(one["architecture"]), one["accuracy"]) for one in evaluations]
    front = nas.get(f"/v1/searches/{search}/front")["front"]
    points = sorted((str(one["architecture"]), one["predicted_accuracy"]) for one in front)
    return [sorted(told), points]


def _killed(made: tuple[Service, Counted], n_kills: int) -> list[Any]:
    """What came of the search on a service that was killed so often meanwhile.

    Half of the kills come soon after it is ready, half once there are more evaluations than at the
    last one, so that the search goes on.
    """
    service, n_evaluations = made
    generator = random.Random(4)  # noqa: S311
    nas = service.client
    service.start()
    took: list[float] = []
    try:
        search = nas.submit_search(**SEARCH)["id"]

        def ended() -> bool:
            return nas.search(search)["state"] in ENDED

        n_known = 0
        for _ in range(n_kills):
            if generator.random() < 0.5:
                service.wait_until(lambda: n_evaluations(search) > n_known, 300)  # noqa: B023
            time.sleep(generator.uniform(0.0, 2.0 if n_known else 0.5))
            n_known = n_evaluations(search)
            assert not ended(), "it ended before it was killed"
            service.kill()
            began = time.monotonic()
            service.start()
            took.append(time.monotonic() - began)
        if took:
            middle = sorted(took)[len(took) // 2]
            _log.info("ready again after %.1f s, at most %.1f s", middle, max(took))
        service.wait_until(ended, 7200 if LONG else 900)
        found = nas.search(search)
        assert found["state"] == "succeeded", found["problem"]
        assert [one["rank"] for one in nas.winners(search)] == [0]
        return _whole(nas, search)
    finally:
        service.stop()


def test_a_search_that_was_killed_at_any_moment_is_as_if_it_had_not_been(world: World) -> None:
    services = [world.service("whole"), world.service("cut")]
    with ThreadPoolExecutor(2 if LONG else 1) as both:  # a long one takes an hour and a half
        undisturbed, cut = both.map(_killed, services, (0, N_KILLS))
    assert Counter(number for number, _, _ in cut[0]) == Counter(range(SEARCH["n_queries"]))
    assert cut == undisturbed
    assert not list((world.folder / "cut").rglob("partial-*"))
