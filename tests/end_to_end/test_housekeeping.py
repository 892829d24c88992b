"""The engine forgets what has ended long ago; what is under way, and what jobs gave, stays."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from nas_service.cli.databases import prepare
from nas_service.engine import durable
from nas_service.queues import queue_of
from nas_service.settings import Settings
from nas_service.storage import datasets, jobs, retention
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.fair_queueing import place
from nas_service.storage.session import Database, now
from nas_service.worker.housekeeping import Housekeeper
from tests.elsewhere import Elsewhere


def _ask(settings: Settings, database: Database, name: str) -> str:
    with database.session() as session:
        stored = datasets.add_dataset(session, name, {"builtin": "digits"})
        params = {"dataset_id": stored.id}
        job = jobs.add_job(session, f"job-{name}", "dataset", subject=stored.id, params=params)
    client = durable.Client(settings.engine_url)
    queue, at = queue_of("dataset", params), place(job.priority, job.start_tag)
    client.enqueue("dataset", queue, job.id, params, place=at)
    client.close()
    return job.id


def _known(settings: Settings, names: list[str]) -> set[str]:
    client = durable.Client(settings.engine_url)
    try:
        return client.known(names)
    finally:
        client.close()


def _until(done: Callable[[], bool], worker: Elsewhere) -> None:
    until = time.monotonic() + 120
    while not done():
        assert time.monotonic() < until, worker.log.read_text()[-3000:]
        time.sleep(0.1)


def _rows_of(var_dir: Path, table: str) -> int:
    connection = sqlite3.connect(var_dir / "engine.sqlite")
    try:
        found: int = connection.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608
    finally:
        connection.close()
    return found


def test_a_service_keeps_house_while_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    var_dir = tmp_path / "var"
    settings = Settings(var_dir=var_dir)
    prepare(settings)
    database, store = Database(settings.url), FileBlobs(settings.blobs_dir)

    def state(job_id: str) -> str:
        with database.session() as session:
            return jobs.get_job(session, job_id).state

    ended = _ask(settings, database, "ended")
    worker = Elsewhere(tmp_path / "one", var_dir, "control", "cpu")
    try:
        _until(lambda: state(ended) == "succeeded", worker)
    finally:
        worker.end()
    waits = _ask(settings, database, "waits")
    orphan = store.put_bytes(b"nobody's")
    with database.session() as session:
        before = jobs.events_of(session, ended)
        kept = datasets.get_dataset(session, "ended").sha256
    assert kept is not None
    assert _rows_of(var_dir, "operation_outputs") > 0

    # the job that waits is younger than what is asked for: nothing goes
    Housekeeper(settings, database, store).keep_house()
    assert _known(settings, [ended, waits]) == {ended, waits}
    assert store.size_bytes(orphan) > 0

    for name in ("ended_before", "unused_before"):
        monkeypatch.setattr(retention, name, lambda *_: now() + timedelta(minutes=1))
    Housekeeper(settings, database, store).keep_house()
    assert _known(settings, [ended, waits]) == {waits}
    assert _rows_of(var_dir, "operation_outputs") == 0
    assert store.size_bytes(kept) > 0
    assert not (settings.blobs_dir / orphan[:2] / orphan).exists()

    worker = Elsewhere(tmp_path / "two", var_dir, "control", "cpu")
    try:
        _until(lambda: state(waits) == "succeeded", worker)
    finally:
        worker.end()
    with database.session() as session:
        assert jobs.get_job(session, ended).state == "succeeded"
        assert jobs.events_of(session, ended) == before  # it was not done again
    database.close()
