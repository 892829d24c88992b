"""What goes by itself is old, belongs to nobody, and was not put again meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from sqlalchemy import select, update

from nas_service.cli.databases import prepare
from nas_service.errors import NotFound
from nas_service.settings import Settings
from nas_service.storage import blobs as file_blobs
from nas_service.storage import jobs, remote_blobs, retention, webhooks
from nas_service.storage.blobs import BlobStore, FileBlobs
from nas_service.storage.models.events import DeliveryRow, WebhookRow
from nas_service.storage.models.jobs import IdempotencyRow, JobRow
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.scope import DEFAULT, SERVICE
from nas_service.storage.session import Database, now

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
Ages = Callable[[str], None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(var_dir=tmp_path / "var")
    prepare(made)
    return made


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database(settings.url)
    yield made
    made.close()


@pytest.fixture(params=["files", "remote"])
def aging(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[BlobStore, Ages]]:
    """A store, and what makes a blob of it an old one."""
    if request.param == "files":
        files = FileBlobs(tmp_path / "blobs")

        def grow_old(name: str) -> None:
            with files.local(name) as place:
                os.utime(place, (LONG_AGO.timestamp(),) * 2)

        yield files, grow_old
        return
    system = fsspec.filesystem("memory")

    def age(name: str) -> None:
        system.store[f"/nas/{name[:2]}/{name}"].modified = LONG_AGO

    yield blobs_of(Settings(var_dir=tmp_path, blobs_url="memory://nas")), age
    system.store.clear()


def _is_there(store: BlobStore, name: str) -> bool:
    try:
        return store.size_bytes(name) > 0
    except NotFound:
        return False


def test_what_is_old_and_named_by_nothing_goes(aging: tuple[BlobStore, Ages]) -> None:
    store, age = aging
    kept, orphan, new = (store.put_bytes(one) for one in (b"kept", b"orphan", b"new"))
    age(kept)
    age(orphan)
    assert store.discard({kept}, now() - timedelta(hours=1)) == 1
    assert [_is_there(store, one) for one in (kept, orphan, new)] == [True, False, True]


def test_what_is_put_again_counts_as_new(aging: tuple[BlobStore, Ages], tmp_path: Path) -> None:
    """Whoever puts it is about to name it in a row."""
    store, age = aging
    (tmp_path / "content").write_bytes(b"again")
    for put in (lambda: store.put_bytes(b"again"), lambda: store.put(tmp_path / "content")):
        name = put()
        age(name)
        assert put() == name
        assert store.discard((), now() - timedelta(hours=1)) == 0
        assert _is_there(store, name)


def test_a_store_that_tells_no_times_loses_nothing_while_jobs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fsspec.filesystem("memory")
    store = blobs_of(Settings(var_dir=tmp_path, blobs_url="memory://timeless"))

    def modified(_: str) -> datetime:
        raise NotImplementedError

    monkeypatch.setattr(system, "modified", modified)
    name = store.put_bytes(b"any")
    assert store.put_bytes(b"any") == name
    assert store.discard((), now() + timedelta(days=1)) == 0
    assert store.discard(()) == 1
    assert remote_blobs._FRESH < retention.MARGIN


@pytest.mark.parametrize("look", [1, 2])
def test_what_is_put_between_look_and_removal_stays(
    look: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first look it lies in its place, after the second beside it."""
    store = FileBlobs(tmp_path / "blobs")
    name = store.put_bytes(b"wanted")
    with store.local(name) as place:
        os.utime(place, (LONG_AGO.timestamp(),) * 2)
    looked = file_blobs._put_at
    looks: list[Path] = []

    def interrupted(one: Path) -> float:
        at = looked(one)
        looks.append(one)
        if len(looks) == look:
            store.put_bytes(b"wanted")
        return at

    monkeypatch.setattr(file_blobs, "_put_at", interrupted)
    store.discard((), now() - timedelta(hours=1))
    with store.open(name) as stream:
        assert stream.read() == b"wanted"
    assert not list((tmp_path / "blobs").glob("partial-*"))


def test_what_was_put_aside_by_one_who_was_killed_is_put_back_where_a_row_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileBlobs(tmp_path)
    wanted, unwanted = store.put_bytes(b"wanted"), store.put_bytes(b"unwanted")
    for name in (wanted, unwanted):
        with store.local(name) as place:
            os.utime(place, (LONG_AGO.timestamp(),) * 2)
    looked = file_blobs._put_at

    def killed(one: Path) -> float:
        if one.parent == tmp_path:  # it lies beside its place
            raise KeyboardInterrupt
        return looked(one)

    monkeypatch.setattr(file_blobs, "_put_at", killed)
    for name in (wanted, unwanted):
        with pytest.raises(KeyboardInterrupt):
            store.discard({wanted, unwanted} - {name}, now() - timedelta(hours=1))
        assert not _is_there(store, name)
    monkeypatch.undo()
    store.discard({wanted}, now() - timedelta(hours=1))
    assert _is_there(store, wanted)
    assert not _is_there(store, unwanted)
    assert not list(tmp_path.glob("partial-*"))


def test_a_file_in_the_making_of_long_ago_goes_and_one_of_now_stays(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path)
    store.put_bytes(b"x")
    for name, at in (("partial-old", LONG_AGO.timestamp()), ("partial-new", time.time())):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (at, at))
    store.discard((), now() - timedelta(hours=1))
    assert [one.name for one in tmp_path.glob("partial-*")] == ["partial-new"]


def _job(database: Database, name: str, state: str, age: timedelta) -> None:
    with database.session() as session:
        jobs.add_job(session, name, "dataset", subject=name, params={})
        values = {"state": state, "created_at": now() - age}
        session.execute(update(JobRow).where(JobRow.id == name).values(**values))


def test_nothing_goes_that_is_younger_than_the_oldest_open_job(database: Database) -> None:
    month = timedelta(days=30)
    _job(database, "ended", "succeeded", timedelta(days=90))
    with database.of(SERVICE).session() as session:
        assert abs(retention.ended_before(session, month) - (now() - month)) < timedelta(minutes=1)
    _job(database, "young", "running", timedelta(days=2))
    _job(database, "waits", "queued", timedelta(days=50))
    with database.of(SERVICE).session() as session:
        assert jobs.oldest_open(session) is not None
        found = retention.ended_before(session, month)
    assert abs(found - (now() - timedelta(days=50, hours=1))) < timedelta(minutes=1)


def test_requests_and_events_that_were_sent_go_and_those_that_wait_stay(
    database: Database,
) -> None:
    with database.of(DEFAULT).session() as session:
        jobs.remember(session, "old", "request", "a")
        jobs.remember(session, "new", "request", "b")
        ago = now() - timedelta(days=40)
        session.execute(
            update(IdempotencyRow).where(IdempotencyRow.key == "old").values(created_at=ago)
        )
        hook, _ = webhooks.add_webhook(session, "https://a.example/x", [])
        for state in ("delivered", "failed", "waiting"):
            session.add(
                DeliveryRow(
                    id=state,
                    webhook_id=hook.id,
                    event="search.done",
                    body={},
                    state=state,
                    attempts=1,
                    next_at=ago,
                    answer=None,
                    created_at=ago,
                )
            )
    with database.of(SERVICE).session() as session:
        told = [retention.forget(session, now() - timedelta(days=30), 1) for _ in range(3)]
        assert [one.as_dict() for one in told] == [
            {"n_deliveries": 1, "n_requests": 1},
            {"n_deliveries": 1, "n_requests": 0},
            {"n_deliveries": 0, "n_requests": 0},
        ]
        assert list(session.scalars(select(DeliveryRow.id))) == ["waiting"]
        assert list(session.scalars(select(IdempotencyRow.key))) == ["new"]
        assert session.scalars(select(WebhookRow.id)).all()
