"""A worker takes the jobs of two projects in turns, whoever asked first for however many."""

from __future__ import annotations

import time
from pathlib import Path

from nas_service.cli.databases import prepare
from nas_service.engine import durable
from nas_service.queues import queue_of
from nas_service.settings import Settings
from nas_service.storage import datasets, jobs
from nas_service.storage.fair_queueing import Priority, place
from nas_service.storage.models.access import ProjectRow
from nas_service.storage.scope import DEFAULT, SERVICE, Scope
from nas_service.storage.session import Database, now
from tests.elsewhere import Elsewhere

FEW, MANY = Scope("few"), DEFAULT


def _ask(
    database: Database, client: durable.Client, scope: Scope, name: str, priority: Priority
) -> None:
    """Store and enqueue an import as the API does."""
    with database.of(scope).session() as session:
        stored = datasets.add_dataset(session, name, {"builtin": "digits"})
        params = {"dataset_id": stored.id}
        job = jobs.add_job(
            session, f"job-{name}", "dataset", subject=stored.id, params=params, priority=priority
        )
    at = place(job.priority, job.start_tag)
    client.enqueue("dataset", queue_of("dataset", params), job.id, params, place=at)


def test_two_projects_take_turns_and_what_can_wait_comes_last(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path / "var")
    prepare(settings)
    database, client = Database(settings.url), durable.Client(settings.engine_url)
    worker = None
    try:
        with database.of(SERVICE).session() as session:
            session.add(ProjectRow(id="few", name="few", created_at=now()))
        _ask(database, client, MANY, "idle", "low")
        for number in range(4):
            _ask(database, client, MANY, f"many{number}", "normal")
        _ask(database, client, MANY, "urgent", "high")
        for number in range(2):
            _ask(database, client, FEW, f"few{number}", "normal")
        worker = Elsewhere(tmp_path / "own", tmp_path / "var", "control", "cpu")

        def ended() -> bool:
            with database.of(SERVICE).session() as session:
                return jobs.count_by_state(session) == {"succeeded": 8}

        until = time.monotonic() + 180
        while not ended():
            assert time.monotonic() < until, worker.log.read_text()[-3000:]
            time.sleep(0.1)
        with database.of(SERVICE).session() as session:
            every = jobs.list_jobs(session, kind="dataset", cursor=None, limit=20).items
        began = sorted(every, key=lambda one: (one.started_at is None, one.started_at))
        names = [one.id.removeprefix("job-") for one in began]
        expected = ["urgent", "many0", "few0", "many1", "few1", "many2", "many3", "idle"]
        # two that are taken at once begin in either order
        moved = {one: names.index(one) - at for at, one in enumerate(expected)}
        assert max(map(abs, moved.values())) <= 1, names
    finally:
        if worker is not None:
            worker.end()
        client.close()
        database.close()
