"""A worker stands still past its lease in the middle of a search; another one takes over."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
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
SEARCH = toy_search(evaluator="standalone", sampler="random", precisions=["fp32"]) | {
    "training": {"epochs": 4, "finetune_epochs": 1, "batch": 16},
    "n_queries": 16,
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


def test_what_it_had_is_done_once_by_another_and_it_writes_no_more(
    world: tuple[Service, Database, Path], tmp_path: Path
) -> None:
    service, database, var_dir = world
    one = Elsewhere(tmp_path / "one", var_dir)
    other: Elsewhere | None = None
    service.start(only_api=True)
    try:
        whole = service.client.submit_search(**SEARCH)["id"]
        service.wait_until(lambda: _finished(database, whole, "search"), 300)
        service.client.cancel_search(whole)

        cut = service.client.submit_search(**SEARCH)["id"]
        service.wait_until(lambda: 2 <= len(_told(database, cut)) < 12, 300, 0.02)
        one.signal(signal.SIGSTOP)
        stood_from = time.monotonic()
        before = _told(database, cut)
        other = Elsewhere(tmp_path / "other", var_dir)
        service.wait_until(lambda: len(_told(database, cut)) > len(before), 120)
        assert time.monotonic() - stood_from > LEASE_S
        one.signal(signal.SIGCONT)
        assert one.process.wait(timeout=60) == 75
        service.wait_until(lambda: _finished(database, cut, "search"), 300)
        assert _told(database, cut) == _told(database, whole)
        assert "stood still for too long" in one.log.read_text()
        with database.session() as session:
            events = jobs.events_of(session, cut)
        ends = Counter(one.step for one in events if one.event == "finished")
        assert set(ends.values()) == {1}
    finally:
        one.end()
        if other is not None:
            other.end()
