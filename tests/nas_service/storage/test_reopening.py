"""Which tables open which searches again: each change once, corrections never."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lookup_tables.calibrate import Calibration
from lookup_tables.table import LookupTable
from lookup_tables.target import Deployment, Device
from nas_service.search.spec import SearchSpec
from nas_service.space.base import ImageShape
from nas_service.space.mbconv import MbconvSpace
from nas_service.storage import datasets, devices, reopening, searches
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.models.searches import SearchRow
from nas_service.storage.revisions import migrate
from nas_service.storage.session import Database
from tests.nas_service.search.problems import table_of

FP32 = (Deployment.parse("fp32"),)

TABLE = table_of(MbconvSpace(ImageShape(16, 1, 4)), "fp32")


class World:
    """A search on device `first` that has ended and follows every device."""

    def __init__(self, database: Database, blobs: FileBlobs) -> None:
        self.database, self.blobs = database, blobs
        with database.session() as session:
            first = devices.add_device(session, Device("first"))
            dataset = datasets.add_dataset(session, "toy", {"builtin": "digits"})
            facts = {"size": 16, "channels": 1, "classes": list("abcd")}
            datasets.set_imported(session, dataset.id, digest="d", sha256="0" * 64, facts=facts)
            spec = SearchSpec("toy", "mbconv", "first", deployments=FP32, follows=("all",))
            self.search = searches.add_search(
                session, spec, device_id=first.id, dataset_id=dataset.id, data_digest="d"
            ).id
        self.upload("first", 1.0)
        self.begin(self.search)
        self.end(self.search)

    def device(self, name: str) -> None:
        with self.database.session() as session:
            devices.add_device(session, Device(name))

    def upload(
        self, name: str, factor: float, *, recalibrated_from: str | None = None, version: str = "1"
    ) -> str:
        calibration = Calibration(1.0 + factor / 100, 0.0, 0.0, 0.0, "p50", (0.01,) * 5)
        provenance = {"recalibrated": {"from": recalibrated_from}} if recalibrated_from else {}
        entries = TABLE.entries
        if not recalibrated_from:
            entries = tuple(replace(one, p10_ms=factor * one.p10_ms) for one in entries)
        target = replace(TABLE.target, device=name, runtime_version=version)
        table = LookupTable(target, entries, provenance, calibration)
        with self.database.session() as session:
            device = devices.get_device(session, name)
            stored = devices.add_target(session, device.id, target)
            return devices.add_table(session, self.blobs, table, stored.id, spaces=[]).version

    def reopen(self, name: str) -> list[str]:
        with self.database.session() as session:
            device = devices.get_device(session, name)
            return [j.subject for j in reopening.reopen_for_device(session, self.blobs, device)]

    def begin(self, search_id: str) -> None:
        """As its workflow does: it notes its tables."""
        with self.database.session() as session:
            row = session.get_one(SearchRow, search_id)
            search = searches.get_search(session, search_id)
            space = MbconvSpace(ImageShape(16, 1, 4))
            chosen, _ = reopening.covering(
                session, self.blobs, row.device_id, space, search.value.deployments
            )
            searches.add_facts(session, search_id, tables=list(chosen.values()))

    def end(self, search_id: str) -> None:
        with self.database.session() as session:
            searches.set_state(session, search_id, "succeeded")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'nas.sqlite'}"
    migrate(url)
    database = Database(url)
    yield World(database, FileBlobs(tmp_path / "blobs", min_free_bytes=0))
    database.close()


def test_a_new_device_opens_the_search_once(world: World) -> None:
    world.device("second")
    assert world.reopen("second") == []  # nothing is known of it
    world.upload("second", 2.0)
    (again,) = world.reopen("second")
    assert world.reopen("second") == []
    world.begin(again)
    world.end(again)
    assert world.reopen("second") == []
    with world.database.session() as session:
        found = searches.get_search(session, again)
    assert (found.reopens, found.value.device) == (world.search, "second")


def test_a_changed_table_opens_it_again_and_a_corrected_one_does_not(world: World) -> None:
    first = world.upload("first", 1.0)
    world.upload("first", 5.0, recalibrated_from=first)
    assert world.reopen("first") == []
    world.upload("first", 3.0)
    assert len(world.reopen("first")) == 1


def test_what_came_while_it_ran_is_caught_up_with(world: World) -> None:
    world.device("second")
    world.upload("second", 2.0)
    (again,) = world.reopen("second")
    world.begin(again)
    world.upload("second", 4.0)
    assert world.reopen("second") == []  # one is at work there
    world.end(again)
    with world.database.session() as session:
        made = reopening.catch_up(session, world.blobs, searches.get_search(session, again))
    assert len(made) == 1
    assert made[0].subject != again


def test_the_newest_table_counts_whatever_target_it_is_of(world: World) -> None:
    world.device("second")
    old = world.upload("second", 2.0, version="1")
    world.upload("second", 3.0, version="2")
    newest = world.upload("second", 2.5, version="1")
    space = MbconvSpace(ImageShape(16, 1, 4))
    with world.database.session() as session:
        device = devices.get_device(session, "second")
        chosen, _ = reopening.covering(session, world.blobs, device.id, space, FP32)
        assert chosen == {FP32[0]: newest}
        there = {"onnxruntime": "2"}
        chosen, _ = reopening.covering(session, world.blobs, device.id, space, FP32, runtimes=there)
        assert set(chosen.values()).isdisjoint({old, newest})


def test_a_precision_alone_means_onnx_runtime_where_there_are_tables_of_it(world: World) -> None:
    space = MbconvSpace(ImageShape(16, 1, 4))
    with world.database.session() as session:
        device = devices.get_device(session, "first")
        target = replace(TABLE.target, device="first", runtime="openvino")
        stored = devices.add_target(session, device.id, target)
        table = replace(TABLE, target=target)
        openvino = devices.add_table(session, world.blobs, table, stored.id, spaces=[]).version
        names = ("fp32", "openvino:fp32", "openvino:int8")
        plain, on_openvino, integer = every = tuple(map(Deployment.parse, names))
        chosen, _ = reopening.covering(session, world.blobs, device.id, space, every)
        assert chosen[on_openvino] == openvino
        assert chosen[plain] != openvino
        assert integer not in chosen
        # a device of which only another runtime is known is priced by that one
        other = devices.add_device(session, Device("other"))
        own = devices.add_target(session, other.id, replace(target, device="other"))
        version = devices.add_table(session, world.blobs, table, own.id, spaces=[]).version
        found, _ = reopening.covering(session, world.blobs, other.id, space, FP32)
        assert found == {plain: version}
