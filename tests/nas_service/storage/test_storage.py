from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from lookup_tables.target import Device, Target
from nas_service.errors import Conflict, InvalidSpec, NotFound, Unavailable
from nas_service.search.evaluation import Evaluation
from nas_service.search.spec import SearchSpec
from nas_service.space.genotypes import Genotype
from nas_service.storage import artifacts, datasets, devices, front_revisions, jobs, searches
from nas_service.storage.blobs import FileBlobs, require_space
from nas_service.storage.models.base import Base
from nas_service.storage.revisions import VERSION_TABLE, migrate
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database
from tests.lookup_tables.tables import small_table


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'nas.sqlite'}"
    migrate(url)
    made = Database(url)
    yield made
    made.close()


def _search(database: Database) -> str:
    with database.session() as session:
        device = devices.add_device(session, Device("board"))
        dataset = datasets.add_dataset(session, "toy", {"builtin": "digits"})
        spec = SearchSpec(dataset="toy", space="mbconv", device="board")
        return searches.add_search(
            session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
        ).id


def test_migrations_from_empty_equal_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, Base.metadata) == []


def test_a_search_reads_back_as_it_was_asked(database: Database) -> None:
    search_id = _search(database)
    with database.session() as session:
        found = searches.get_search(session, search_id)
    assert found.value == SearchSpec(dataset="toy", space="mbconv", device="board")
    assert found.created_at.tzinfo is not None


def test_evaluations_stored_twice_are_there_once(database: Database) -> None:
    search_id = _search(database)
    batch = [Evaluation(n, 0, Genotype((n, 1), 0), 0.5, {"a": 1}) for n in range(3)]
    for _ in range(2):
        with database.session() as session:
            searches.add_evaluations(session, search_id, batch)
    with database.session() as session:
        assert searches.evaluations_of(session, search_id) == batch


def test_a_front_that_did_not_change_gets_no_new_revision(database: Database) -> None:
    search_id = _search(database)
    with database.session() as session:
        assert front_revisions.add_front(session, search_id, {"front": [1]}) == 1
        assert front_revisions.add_front(session, search_id, {"front": [1]}) == 1
        assert front_revisions.add_front(session, search_id, {"front": [2]}) == 2
        assert '"front": [1]' in (front_revisions.front_body(session, search_id, 1) or "")


def test_a_search_that_has_ended_stays_as_it_ended(database: Database) -> None:
    search_id = _search(database)
    with database.session() as session:
        searches.set_state(session, search_id, "cancelled")
        searches.set_state(session, search_id, "searching")
    with database.session() as session:
        assert searches.get_search(session, search_id).state == "cancelled"


def test_pages_hold_everything_once(database: Database) -> None:
    with database.session() as session:
        for n in range(7):
            devices.add_device(session, Device(f"d{n}"))
    seen, cursor = [], None
    while True:
        with database.session() as session:
            page = devices.list_devices(session, cursor=cursor, limit=3)
        seen += [one.name for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert sorted(seen) == [f"d{n}" for n in range(7)]
    assert len(seen) == 7


def test_searches_come_newest_first_whatever_their_ids(database: Database) -> None:
    first = _search(database)
    ids = ["sea_again_f", "sea_1", "sea_again_0", "sea_2"]
    with database.session() as session:
        search = searches.get_search(session, first)
        for name in ids:
            searches.add_search(
                session,
                search.value,
                device_id=search.device_id,
                dataset_id=search.dataset_id,
                data_digest=None,
                search_id=name,
            )
    seen, cursor = [], None
    while True:
        with database.session() as session:
            page = searches.list_searches(session, cursor=cursor, limit=2)
        seen += [one.id for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == [*reversed(ids), first]
    with database.session() as session, pytest.raises(InvalidSpec, match="cursor"):
        searches.list_searches(session, cursor="eA", limit=2)


def test_a_job_that_nobody_began_with_is_cancelled_at_once(database: Database) -> None:
    with database.session() as session:
        for name in ("waiting", "running"):
            jobs.add_job(session, name, "search", subject=name, params={})
            jobs.add_job(session, f"{name}-below", "profile", subject=name, params={}, parent=name)
        assert jobs.start(session, "running")
        assert jobs.request_cancel(session, "waiting").state == "cancelled"
        assert jobs.request_cancel(session, "running").state == "running"
        assert jobs.get_job(session, "waiting-below").state == "cancelled"
        assert jobs.get_job(session, "running-below").state == "cancelled"
        assert not jobs.start(session, "waiting")
        jobs.finish(session, "waiting", "failed")  # it stays as it ended
        assert jobs.get_job(session, "waiting").state == "cancelled"


def test_progress_never_goes_back(database: Database) -> None:
    with database.session() as session:
        jobs.add_job(session, "search", "search", subject="s", params={})
        jobs.start(session, "search")
        for fraction, message in ((0.9, "measuring"), (0.8, "compressing"), (0.95, "compiling")):
            jobs.progress(session, "search", fraction=fraction, message=message, eta_s=None)
            found = jobs.get_job(session, "search")
            assert (found.fraction, found.message) == (max(fraction, 0.9), message)


def test_a_cursor_from_elsewhere_is_refused(database: Database) -> None:
    with database.session() as session, pytest.raises(InvalidSpec, match="cursor"):
        devices.list_devices(session, cursor="\xff", limit=3)


def test_a_table_is_stored_once_and_reads_back(database: Database, tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    with database.session() as session:
        device = devices.add_device(session, Device("board"))
        target = devices.add_target(session, device.id, small_table().target)
        first = devices.add_table(session, blobs, small_table(), target.id, spaces=[])
        second = devices.add_table(session, blobs, small_table(), target.id, spaces=[])
    assert first.id == second.id
    assert devices.load_table(blobs, first) == small_table()


def test_cancelling_reaches_all_below(database: Database) -> None:
    with database.session() as session:
        jobs.add_job(session, "a", "search", subject="s", params={})
        jobs.add_job(session, "b", "supernet", subject="a", params={}, parent="a")
        jobs.add_job(session, "c", "compress", subject="a", params={}, parent="a")
        jobs.start(session, "c")
        jobs.finish(session, "c", "succeeded")
        jobs.request_cancel(session, "a")
    with database.session() as session:
        assert jobs.is_cancelled(session, "b")
        assert not jobs.start(session, "b")
        with pytest.raises(Conflict, match="already succeeded"):
            jobs.request_cancel(session, "c")


def test_an_idempotency_key_gives_the_first_subject_again(database: Database) -> None:
    with database.session() as session:
        assert jobs.remember(session, "k", "r1", "first") == "first"
        assert jobs.remember(session, "k", "r1", "second") == "first"
        with pytest.raises(InvalidSpec, match="another request"):
            jobs.remember(session, "k", "r2", "third")


def test_blobs_are_named_by_content_and_put_once(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    (tmp_path / "f").write_bytes(b"abc")
    name = blobs.put(tmp_path / "f")
    # SHA-256 of "abc", FIPS 180-2 appendix B.1
    assert name == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert blobs.put_bytes(b"abc") == name
    with blobs.local(name) as path:
        assert path.read_bytes() == b"abc"
    with pytest.raises(NotFound), blobs.local("../../etc/passwd"):
        pass


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs", min_free_bytes=1 << 60)
    with pytest.raises(Unavailable, match=r"disk full: .* bytes free"):
        blobs.put_bytes(b"abc")
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == []
    with pytest.raises(Unavailable, match="disk full"):
        require_space(tmp_path, 1 << 60)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_disk_that_fills_while_writing_is_reported(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    (tmp_path / "blobs").mkdir()

    def write() -> None:
        with blobs._partial() as partial:
            partial.unlink()
            partial.symlink_to("/dev/full")
            with partial.open("wb", buffering=0) as stream:
                stream.write(b"x")

    with pytest.raises(Unavailable, match="cannot write"):
        write()
    assert list((tmp_path / "blobs").iterdir()) == []


def test_garbage_is_what_no_row_names(database: Database, tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    (tmp_path / "f").write_bytes(b"kept")
    orphan = blobs.put_bytes(b"orphan")
    with database.session() as session:
        kept = artifacts.add_artifact(
            session, blobs, tmp_path / "f", owner="s", name="f", kind="k", lineage={}
        )
    with database.of(SERVICE).session() as session:
        assert artifacts.collect_garbage(session, blobs) == 1
    with blobs.local(kept.sha256) as path:
        assert path.exists()
    with pytest.raises(NotFound), blobs.local(orphan):
        pass
    with database.of(SERVICE).session() as session:
        artifacts.remove_artifact(session, kept.id)
        assert artifacts.collect_garbage(session, blobs) == 1


def test_targets_are_one_a_key(database: Database) -> None:
    target = Target("board", "onnxruntime", "1", "fp32")
    with database.session() as session:
        device = devices.add_device(session, Device("board"))
        first = devices.add_target(session, device.id, target)
        assert devices.add_target(session, device.id, target).id == first.id
        assert first.value == target
