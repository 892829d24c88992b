"""Projects see their own rows and no others', whatever is asked, changed or removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from lookup_tables.target import Device, Target
from nas_service.errors import Conflict, NotFound
from nas_service.settings import Settings
from nas_service.storage import artifacts, datasets, devices, jobs, supernets, webhooks
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.models.base import Base
from nas_service.storage.models.devices import DeviceRow
from nas_service.storage.models.events import WebhookRow
from nas_service.storage.models.jobs import JobRow
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import DEFAULT, SERVICE, Owned, Scope
from nas_service.storage.session import Database, make_engine

MINE, YOURS = Scope("mine"), Scope("yours")

NOBODYS = {"leases", "projects", "users", "logins", "signing_keys"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    settings = Settings(var_dir=tmp_path)
    migrate(settings.url)
    made = Database(settings.url)
    yield made
    made.close()


def test_every_row_belongs_to_a_project_or_to_a_row_that_does() -> None:
    """But for workers' leases and keys, which serve everybody, projects, and their people."""
    owned = {one.local_table.name for one in Base.registry.mappers if issubclass(one.class_, Owned)}
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        above = {key.column.table.name for key in table.foreign_keys}
        assert table.name in owned or above & owned or table.name in NOBODYS, table.name


def test_names_are_a_projects_own(database: Database) -> None:
    for scope in (MINE, YOURS):
        with database.of(scope).session() as session:
            device = devices.add_device(session, Device("board", model=str(scope.project_id)))
            devices.add_target(session, device.id, Target("board", "onnxruntime", "1", "fp32"))
            datasets.add_dataset(session, "pets", {"builtin": "digits"})
            with pytest.raises(Conflict):
                datasets.add_dataset(session, "pets", {"builtin": "digits"})
    with database.of(MINE).session() as session:
        assert devices.get_device(session, "board").facts["model"] == "mine"
        (only,) = devices.list_devices(session, cursor=None, limit=9).items
        assert only.facts["model"] == "mine"
        assert len(devices.list_targets(session, cursor=None, limit=9).items) == 1
    with database.session() as session, pytest.raises(NotFound, match="known: none"):
        devices.get_device(session, "board")
    with database.of(SERVICE).session() as session:
        assert len(devices.every_device(session)) == 2


def test_what_is_shared_within_a_project_is_not_between_them(database: Database) -> None:
    found = []
    for scope in (MINE, YOURS, MINE):
        with database.of(scope).session() as session:
            known = datasets.list_datasets(session, cursor=None, limit=9).items
            dataset = known[0] if known else datasets.add_dataset(session, "pets", {})
            made = supernets.ensure_supernet(
                session,
                dataset_id=dataset.id,
                data_digest="d",
                space="mbconv",
                space_digest="s",
                recipe={},
                seed=0,
            )
            found.append(made.id)
    assert found[0] == found[2] != found[1]


def test_changes_and_removals_stay_within(database: Database) -> None:
    for scope in (MINE, YOURS):
        with database.of(scope).session() as session:
            devices.add_device(session, Device("board"))
    with database.of(MINE).session() as session:
        session.execute(update(DeviceRow).values(name="renamed"))
        assert session.scalar(select(func.count()).select_from(DeviceRow)) == 1
        session.execute(delete(DeviceRow))
    with database.of(YOURS).session() as session:
        assert devices.get_device(session, "board").name == "board"


def test_an_identifier_of_another_project_is_not_found(database: Database) -> None:
    with database.of(YOURS).session() as session:
        jobs.add_job(session, "job_1", "dataset", subject="s", params={})
    with database.of(MINE).session() as session:
        assert session.get(JobRow, "job_1") is None
        with pytest.raises(NotFound):
            jobs.get_job(session, "job_1")
        with pytest.raises(NotFound):
            jobs.project_of(session, "job_1")
    with database.of(SERVICE).session() as session:
        assert jobs.project_of(session, "job_1") == YOURS


def test_events_are_told_to_those_of_the_project(database: Database) -> None:
    for scope in (MINE, YOURS):
        with database.of(scope).session() as session:
            webhooks.add_webhook(session, "http://127.0.0.1:9/hook", ["search.finished"])
    with database.of(MINE).session() as session:
        webhooks.announce(session, "search.finished", "sea_1", {})
    with database.of(SERVICE).session() as session:
        claimed = webhooks.claim_due(session)
        assert claimed is not None
        (mine,) = session.scalars(select(WebhookRow).where(WebhookRow.project_id == "mine"))
        assert claimed.delivery.id.startswith(mine.id)
        assert webhooks.claim_due(session) is None
        with pytest.raises(ValueError, match="belongs to a project"):
            webhooks.announce(session, "search.finished", "sea_2", {})


def test_a_key_of_one_project_is_no_key_of_another(database: Database) -> None:
    told = []
    for scope, subject in ((DEFAULT, "a"), (MINE, "b"), (MINE, "c"), (DEFAULT, "d")):
        with database.of(scope).session() as session:
            told.append(jobs.remember(session, "key", "request", subject))
    assert told == ["a", "b", "b", "a"]


def test_files_of_every_project_are_kept(database: Database, tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    (tmp_path / "file").write_bytes(b"yours")
    with database.of(YOURS).session() as session:
        artifacts.add_artifact(
            session, blobs, tmp_path / "file", owner="s", name="f", kind="k", lineage={}
        )
    with database.of(MINE).session() as session, pytest.raises(ValueError, match="every project"):
        artifacts.collect_garbage(session, blobs)
    with database.of(SERVICE).session() as session:
        assert artifacts.collect_garbage(session, blobs) == 0


def test_nothing_is_asked_or_stored_without_a_scope(database: Database) -> None:
    with Session(database.engine) as bare, pytest.raises(TypeError, match="no scope"):
        devices.every_device(bare)
    with (
        database.of(SERVICE).session() as session,
        pytest.raises(ValueError, match="needs its project"),
    ):
        devices.add_device(session, Device("board"))


def test_what_was_there_goes_to_the_default_project_and_nothing_is_lost(tmp_path: Path) -> None:
    url = Settings(var_dir=tmp_path).url
    migrate(url, to="0006")
    engine = make_engine(url)
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO devices (id, name, facts, local, lineage, created_at) "
            "VALUES ('dev_1', 'board', '{}', 0, '{}', '2026-01-01 00:00:00')",
            "INSERT INTO targets (id, device_id, key, precision, facts, lineage, created_at) "
            "VALUES ('tar_1', 'dev_1', 'key', 'fp32', '{}', '{}', '2026-01-01 00:00:00')",
            "INSERT INTO agents (device_id, token_sha256, facts, created_at) "
            "VALUES ('dev_1', 'abc', '{}', '2026-01-01 00:00:00')",
        ):
            connection.exec_driver_sql(statement)
    migrate(url)
    with engine.begin() as connection:
        for table, n in (("devices", 1), ("targets", 1), ("agents", 1)):
            found = connection.exec_driver_sql(f"SELECT count(*) FROM {table}")  # noqa: S608
            assert found.scalar_one() == n
        owner = connection.exec_driver_sql("SELECT project_id FROM targets").scalar_one()
    engine.dispose()
    assert owner == DEFAULT.project_id
