"""Jobs that were stored and never enqueued are found, however many others wait."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from nas_service.engine import durable
from nas_service.queues import queue_of
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.models.jobs import JobRow
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import now
from nas_service.worker import lost
from nas_service.worker.context import Context
from nas_service.worker.lost import LostJobs


@pytest.fixture
def context(tmp_path: Path) -> Context:
    settings = Settings(var_dir=tmp_path / "var")
    settings.var_dir.mkdir()
    migrate(settings.url)
    durable.prepare(settings.engine_url)
    return Context.of(settings)


def _stored(context: Context, names: list[str], *, lost_ones: set[str], age_s: float = 60) -> None:
    """Import jobs of that age, enqueued but for those that are lost."""
    client = durable.Client(context.settings.engine_url)
    with context.database.session() as session:
        for name in names:
            jobs.add_job(session, name, "dataset", subject=name, params={"dataset_id": name})
        made_at = now() - timedelta(seconds=age_s)
        session.execute(update(JobRow).where(JobRow.id.in_(names)).values(created_at=made_at))
    for name in set(names) - lost_ones:
        client.enqueue("dataset", queue_of("dataset", {}), name, {"dataset_id": name}, place=1)
    client.close()


def _known(context: Context, names: list[str]) -> set[str]:
    client = durable.Client(context.settings.engine_url)
    try:
        return client.known(names)
    finally:
        client.close()


def test_a_few_at_a_time_it_comes_to_every_job(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "AT_ONCE", 10)
    names = [f"job{number:02}" for number in range(25)]
    away = {"job00", "job14", "job24"}
    _stored(context, names, lost_ones=away)
    looking = LostJobs(context.database.of(SERVICE), context.settings.engine_url)
    found = []
    for _ in range(3):
        looking.enqueue_some()
        found.append(_known(context, names) & away)
    assert found == [{"job00"}, {"job00", "job14"}, away]
    _stored(context, ["job00b"], lost_ones={"job00b"})  # the first page comes again
    looking.enqueue_some()
    assert _known(context, ["job00b"]) == {"job00b"}


def test_all_are_looked_at_when_a_worker_starts(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "AT_ONCE", 4)
    names = [f"job{number:02}" for number in range(12)]
    _stored(context, names, lost_ones={"job03", "job11"})
    LostJobs(context.database.of(SERVICE), context.settings.engine_url).enqueue_all()
    assert _known(context, names) == set(names)


def test_what_has_ended_is_below_another_or_is_on_its_way_is_left(context: Context) -> None:
    every = {"ended", "below", "new"}
    _stored(context, ["ended", "below"], lost_ones=every)
    _stored(context, ["new"], lost_ones=every, age_s=0.5)
    with context.database.session() as session:
        jobs.finish(session, "ended", "cancelled")
        session.execute(update(JobRow).where(JobRow.id == "below").values(parent="new"))
    LostJobs(context.database.of(SERVICE), context.settings.engine_url).enqueue_all()
    assert _known(context, sorted(every)) == set()
