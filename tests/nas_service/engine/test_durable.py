"""The record of workflows: what has ended is forgotten, what waits is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbos import DBOSClient

from nas_service.engine import durable
from nas_service.queues import queue_of


def test_workflows_that_ended_are_forgotten_and_those_that_wait_are_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'engine.sqlite'}"
    durable.prepare(url)
    client = durable.Client(url)
    jobs = [f"job-{number}" for number in range(5)]
    for place, job in enumerate(jobs, start=1):
        client.enqueue("dataset", queue_of("dataset", {}), job, {}, place=place)
    asked = DBOSClient(system_database_url=url, dbos_system_schema=durable.SCHEMA)
    for job in jobs[:3]:
        asked.cancel_workflow(job)
    asked.destroy()
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert durable.forget_ended(url, soon - timedelta(hours=2), lambda: False) == 0
    assert durable.forget_ended(url, soon, lambda: True) == 0
    assert client.known(jobs) == set(jobs)
    assert durable.forget_ended(url, soon, lambda: False) == 3
    assert client.known(jobs) == set(jobs[3:])
    assert client.known([]) == set()
    client.close()
