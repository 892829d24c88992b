"""A worker stands still past its lease in the middle of a search; another one takes over."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nas_service.settings import Settings
from nas_service.storage import jobs, searches
from nas_service.storage.session import Database
from tests.elsewhere import LEASE_S, Elsewhere
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search

pytestmark = pytest.mark.slow
N_STOPS = 50 if os.environ.get("NAS_TEST_FAULTS") else 1
SEARCH = toy_search(evaluator="standalone", sampler="random", precisions=["fp32"]) | {
    "training": {"epochs": 4, "finetune_epochs": 1, "batch": 16},
    "n_queries": 10 + 6 * N_STOPS,
}


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> Iterator[tuple[Service, Database, Path]]:
    var_dir = copied(prepared, tmp_path / "var")
    service = Service(var_dir, NAS_MACHINE="api")
    database = Database(Settings(var_dir=var_dir).url)
    yield service, database, var_dir
    service.stop()
    database.close()


def _told(database: Database, search: str) -> list[tuple[int, object, float]]:
    with database.session() as session:
        found = searches.evaluations_of(session, search)
    return [(one.number, one.genotype, one.accuracy) for one in found]


def _finished(database: Database, search: str, step: str) -> bool:
    with database.session() as session:
        assert jobs.get_job(session, search).problem is None
        events = jobs.events_of(session, search)
    return any(one.step == step and one.event == "finished" for one in events)


def _stand_still(worker: Elsewhere, var_dir: Path) -> None:
    """Stop a worker outside of writing: SQLite lets nobody write while one that writes stands."""
    worker.signal(signal.SIGSTOP)
    while not all(_takes_writes(var_dir / name) for name in ("nas.sqlite", "engine.sqlite")):
        worker.signal(signal.SIGCONT)
        time.sleep(0.05)
        worker.signal(signal.SIGSTOP)


def _takes_writes(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=1.0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        return True


def test_what_it_had_is_done_once_by_another_and_it_writes_no_more(
    world: tuple[Service, Database, Path], tmp_path: Path
) -> None:
    service, database, var_dir = world
    generator = random.Random(5)  # noqa: S311
    workers = [Elsewhere(tmp_path / "worker-0", var_dir)]
    service.start(only_api=True)
    try:
        whole = service.client.submit_search(**SEARCH)["id"]
        service.wait_until(lambda: _finished(database, whole, "search"), 3600)
        service.client.cancel_search(whole)

        cut = service.client.submit_search(**SEARCH)["id"]
        for number in range(1, N_STOPS + 1):
            n_told = len(_told(database, cut))
            service.wait_until(lambda: n_told + 2 <= len(_told(database, cut)), 300, 0.02)  # noqa: B023
            time.sleep(generator.uniform(0.0, 0.5))
            assert len(_told(database, cut)) < SEARCH["n_queries"] - 4, "it ended before that"
            _stand_still(workers[-1], var_dir)
            stood_from = time.monotonic()
            before = _told(database, cut)
            workers.append(Elsewhere(tmp_path / f"worker-{number}", var_dir))
            service.wait_until(lambda: len(_told(database, cut)) > len(before), 120)  # noqa: B023
            assert time.monotonic() - stood_from > LEASE_S
            workers[-2].signal(signal.SIGCONT)
            assert workers[-2].process.wait(timeout=60) == 75
            assert "stood still for too long" in workers[-2].log.read_text()
        service.wait_until(lambda: _finished(database, cut, "search"), 3600)
        assert _told(database, cut) == _told(database, whole)
        with database.session() as session:
            events = jobs.events_of(session, cut)
        ends = Counter(one.step for one in events if one.event == "finished")
        assert set(ends.values()) == {1}
    finally:
        for one in workers:
            one.end()
