"""A second worker helps with a search; its evaluations are those that one worker makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_service.settings import Settings
from nas_service.storage import jobs, searches, trials
from nas_service.storage.models.searches import TrialRow
from nas_service.storage.session import Database
from tests.elsewhere import Elsewhere
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search

pytestmark = pytest.mark.slow


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> Iterator[tuple[Service, Database, Path]]:
    var_dir = copied(prepared, tmp_path / "var")
    service = Service(var_dir)
    database = Database(Settings(var_dir=var_dir).url)
    service.start()
    try:
        yield service, database, var_dir
    finally:
        service.stop()
        database.close()


def _told(database: Database, search: str) -> list[tuple[Any, float]]:
    with database.session() as session:
        return [(one.genotype, one.accuracy) for one in searches.evaluations_of(session, search)]


def _searched(database: Database, search: str) -> bool:
    with database.session() as session:
        assert jobs.get_job(session, search).problem is None
        events = jobs.events_of(session, search)
    return any(one.step == "search" and one.event == "finished" for one in events)


def _trainers(database: Database, seen: set[str]) -> None:
    with database.session() as session:
        seen.update(one or "" for (one,) in session.query(TrialRow.trainer))


def test_a_search_is_helped_and_its_evaluations_are_those_of_one_worker(
    world: tuple[Service, Database, Path], tmp_path: Path
) -> None:
    service, database, var_dir = world
    asked = toy_search(
        evaluator="standalone", sampler="random", precisions=["fp32"], n_queries=24, batch=12
    ) | {"training": {"epochs": 3, "finetune_epochs": 1, "batch": 16}}
    alone = service.client.submit_search(**asked)["id"]
    service.wait_until(lambda: _searched(database, alone), 400)
    service.client.cancel_search(alone)

    helper = Elsewhere(tmp_path / "elsewhere", var_dir, "gpu", machine="elsewhere")
    seen: set[str] = set()
    try:
        service.wait_until(lambda: "worker ready" in helper.log.read_text(), 60)
        helped = service.client.submit_search(**asked)["id"]
        until = time.monotonic() + 400
        while not _searched(database, helped) and time.monotonic() < until:
            _trainers(database, seen)
            if len(seen - {""}) > 1:  # it has an evaluation of its own now, and vanishes with it
                helper.end()
            time.sleep(0.05)
        assert _told(database, helped) == _told(database, alone)
        assert len(_told(database, helped)) == 24
        assert len(seen - {""}) > 1, helper.log.read_text()
        with database.session() as session:
            assert trials.wanted(session) == []
            assert session.query(TrialRow).count() == 0
    finally:
        helper.end()
