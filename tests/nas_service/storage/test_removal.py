"""Removal: what depends on a thing is named, and goes with it or keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from lookup_tables.target import Device
from nas_service.errors import Conflict, InvalidSpec, NotFound
from nas_service.search.spec import SearchSpec
from nas_service.storage import artifacts, datasets, devices, jobs, removal, searches
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database
from tests.lookup_tables.tables import TARGET, small_table


@pytest.fixture
def database(tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path / 'nas.sqlite'}"
    migrate(url)
    return Database(url)


def _search(session: Session, tables: list[str]) -> str:
    dataset = datasets.get_dataset(session, "toy")
    device = devices.get_device(session, TARGET.device)
    spec = SearchSpec(dataset="toy", space="mbconv", device=TARGET.device)
    made = searches.add_search(
        session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
    )
    search_id = made.id
    searches.add_facts(session, search_id, tables=tables)
    return search_id


def _filled(database: Database, tmp_path: Path) -> tuple[str, str, FileBlobs]:
    """A data set, a device with a table, and a search that it priced; ids of the last two."""
    blobs = FileBlobs(tmp_path / "blobs")
    with database.session() as session:
        datasets.add_dataset(session, "toy", {"builtin": "digits"})
        device = devices.add_device(session, Device(TARGET.device))
        target = devices.add_target(session, device.id, TARGET)
        table = devices.add_table(session, blobs, small_table(), target.id, spaces=[])
        search_id = _search(session, [table.version])
        (tmp_path / "report.json").write_text("{}")
        artifacts.add_artifact(
            session,
            blobs,
            tmp_path / "report.json",
            owner=search_id,
            name="report.json",
            kind="report",
            lineage={},
        )
    return table.version, search_id, blobs


@pytest.mark.parametrize("kind", ["dataset", "device", "table"])
def test_what_is_used_is_kept_and_names_what_uses_it(
    kind: str, database: Database, tmp_path: Path
) -> None:
    version, search_id, _ = _filled(database, tmp_path)
    name = {"dataset": "toy", "device": TARGET.device, "table": version}[kind]
    with database.session() as session, pytest.raises(Conflict, match=search_id) as error:
        removal.remove(session, kind, name)
    assert error.value.fields["dependents"] == [
        {"kind": "search", "id": search_id, "name": search_id}
    ]
    with database.session() as session:
        assert searches.get_search(session, search_id)
        gone = removal.remove(session, kind, name, force=True)
    assert [(one.kind, one.name) for one in gone] == [("search", search_id), (kind, name)]
    with database.session() as session:
        with pytest.raises(NotFound):
            searches.get_search(session, search_id)
        assert artifacts.artifacts_of(session, search_id) == []
        with pytest.raises(NotFound):
            removal.remove(session, kind, name)


def test_a_search_goes_with_its_files_and_bytes_with_the_next_collection(
    database: Database, tmp_path: Path
) -> None:
    _, search_id, blobs = _filled(database, tmp_path)
    with database.of(SERVICE).session() as session:
        assert artifacts.collect_garbage(session, blobs) == 0
        removal.remove(session, "search", search_id)
        assert artifacts.collect_garbage(session, blobs) == 1


def test_what_a_job_is_at_work_on_stays(database: Database, tmp_path: Path) -> None:
    _, search_id, _ = _filled(database, tmp_path)
    with database.session() as session:
        jobs.add_job(session, search_id, "search", subject=search_id, params={})
    with database.session() as session, pytest.raises(Conflict, match="is at work on"):
        removal.remove(session, "dataset", "toy", force=True)


def test_a_kind_that_is_not_known_is_named(database: Database) -> None:
    with database.session() as session, pytest.raises(InvalidSpec, match="'cat' is none of"):
        removal.remove(session, "cat", "x")


def test_a_table_that_comes_again_is_the_current_one_and_may_be_retired(
    database: Database, tmp_path: Path
) -> None:
    first, _, blobs = _filled(database, tmp_path)
    with database.session() as session:
        target = devices.targets_of(session, devices.get_device(session, TARGET.device).id)[0]
        other = devices.add_table(session, blobs, small_table(2.0), target.id, spaces=[])

        def order() -> list[str]:
            return [one.version for one in devices.tables_of_target(session, target.id)]

        assert order() == [other.version, first]
        devices.add_table(session, blobs, small_table(), target.id, spaces=[])
        assert order() == [first, other.version]
        devices.retire_table(session, first)
        assert order() == [other.version]
        devices.use_table(session, first)
        assert order() == [first, other.version]
