"""A job that waits for another one: it hears of its own cancel, and tells how far the other is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nas_service.engine import durable
from nas_service.errors import Cancelled
from nas_service.settings import Settings
from nas_service.storage import datasets, jobs
from nas_service.storage.models.jobs import JobRow
from nas_service.storage.revisions import migrate
from nas_service.worker.below import Below
from nas_service.worker.context import Context
from nas_service.worker.steps import Runner
from nas_service.worker.workflows import Workflows


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    settings = Settings(var_dir=tmp_path)
    migrate(settings.url)
    made = Context.of(settings)
    yield made
    made.database.close()


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Jobs below are enqueued nowhere, and end when this is set."""
    event = threading.Event()

    def enqueue(*_: Any, **__: Any) -> Any:
        def outcome() -> dict[str, Any]:
            assert event.wait(60)
            return {"state": "succeeded", "problem": None}

        return outcome

    monkeypatch.setattr(durable, "enqueue_child", enqueue)
    yield event
    event.set()


def _job(context: Context, job_id: str, kind: str = "search", **given: Any) -> None:
    with context.database.session() as session:
        jobs.add_job(session, job_id, kind, subject=job_id, params=given)
        jobs.start(session, job_id)


def _cancel(context: Context, job_id: str) -> None:
    with context.database.session() as session:
        jobs.request_cancel(session, job_id)


def _states(context: Context, *names: str) -> list[str]:
    with context.database.session() as session:
        return [jobs.get_job(session, name).state for name in names]


@pytest.mark.usefixtures("ended")
def test_a_cancel_is_heard_while_a_job_below_waits_for_a_worker(
    context: Context,
) -> None:
    _job(context, "above", "compression")
    wait = Below(Runner(context, "here")).start("measure", "above", "below", {}, (0.0, 1.0))
    threading.Timer(0.5, _cancel, (context, "above")).start()
    with pytest.raises(Cancelled):
        wait()
    assert _states(context, "below") == ["cancelled"]


@pytest.mark.usefixtures("ended")
def test_a_job_below_that_came_while_its_parent_was_cancelled_ends_too(
    context: Context,
) -> None:
    _job(context, "above", "compression")
    wait = Below(Runner(context, "here")).start("measure", "above", "below", {}, (0.0, 1.0))
    with context.database.session() as session:  # as if the one below had not been there yet
        assert jobs.get_job(session, "below").state == "queued"
        session.execute(update(JobRow).where(JobRow.id == "above").values(cancel_requested=True))
    with pytest.raises(Cancelled):
        wait()
    assert _states(context, "below") == ["cancelled"]


@pytest.mark.usefixtures("ended")
def test_what_another_search_trains_goes_on_and_its_progress_is_told(
    context: Context,
) -> None:
    _job(context, "first")
    _job(context, "second")
    _job(context, "training", "supernet", reports_to={"job": "first", "span": [0.0, 1.0]})
    with context.database.session() as session:
        jobs.progress(session, "training", fraction=0.5, message="epoch 5 of 10", eta_s=None)
    wait = Below(Runner(context, "here")).start("supernet", "second", "training", {}, (0.2, 0.6))
    threading.Timer(1.0, _cancel, (context, "second")).start()
    with pytest.raises(Cancelled):
        wait()
    with context.database.session() as session:
        told = jobs.get_job(session, "second")
        assert not jobs.is_cancelled(session, "training")
    assert (told.fraction, told.message) == (0.4, "epoch 5 of 10")
    assert _states(context, "first", "training") == ["running", "running"]


def test_the_outcome_of_one_that_ended_is_given(context: Context, ended: threading.Event) -> None:
    _job(context, "above", "compression")
    wait = Below(Runner(context, "here")).start("measure", "above", "below", {}, (0.0, 1.0))
    with context.database.session() as session:
        jobs.finish(session, "below", "succeeded")
    ended.set()
    assert wait()["state"] == "succeeded"


def test_a_data_set_whose_import_never_began_frees_its_name(context: Context) -> None:
    with context.database.session() as session:
        stored = datasets.add_dataset(session, "photos", {"builtin": "digits"})
        params = {"dataset_id": stored.id}
        jobs.add_job(session, "import", "dataset", subject=stored.id, params=params)
        jobs.request_cancel(session, "import")
    assert Workflows(Runner(context, "here")).dataset("import", params)["state"] == "cancelled"
    with context.database.session() as session:
        datasets.require_free(session, "photos")
