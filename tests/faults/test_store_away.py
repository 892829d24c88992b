"""An object store that goes away: what was acknowledged stays, and jobs go on when it is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from s3fs import S3FileSystem

from nas_service.errors import NotFound, Unavailable
from nas_service.settings import Settings
from nas_service.storage import remote_blobs
from nas_service.storage.blobs import BlobStore
from nas_service.storage.remote_blobs import RemoteBlobs, blobs_of
from nas_service.storage.session import now
from tests.faults import s3
from tests.faults.proxy import Proxy
from tests.service import Service
from tests.toy_search import toy_search

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with s3.s3_server() as port:
        yield port


@pytest.fixture
def way(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy(server)
    S3FileSystem.clear_instance_cache()  # those of other tests know other ways
    for name, value in s3.environment(made.port).items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


def _store(folder: Path, place: str) -> BlobStore:
    return blobs_of(Settings(var_dir=folder, blobs_url=f"s3://{s3.BUCKET}/{place}"))


@pytest.mark.usefixtures("way")
def test_what_one_machine_writes_another_reads_and_removes(tmp_path: Path) -> None:
    one, other = _store(tmp_path / "a", "pair"), _store(tmp_path / "b", "pair")
    assert isinstance(one, RemoteBlobs)
    name = one.put_bytes(b"from here")
    with other.open(name) as stream:
        assert stream.read() == b"from here"
    assert other.discard(keep=()) == 1
    again = one.put_bytes(b"from here")  # it is not believed to be there still
    assert again == name
    with _store(tmp_path / "c", "pair").open(name) as stream:
        assert stream.read() == b"from here"
    with pytest.raises(NotFound):
        one.size_bytes("0" * 64)


@pytest.mark.usefixtures("way")
def test_what_another_machine_puts_again_while_garbage_is_collected_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's listing is as old as the first look: it still says the old time."""
    monkeypatch.setattr(remote_blobs, "_FRESH", timedelta(0))  # in a test nothing is old
    one, other = _store(tmp_path / "a", "again"), _store(tmp_path / "b", "again")
    name = one.put_bytes(b"wanted again")
    unwanted = one.put_bytes(b"unwanted")
    time.sleep(1.1)  # the store tells whole seconds
    before = now()
    time.sleep(1.1)
    assert isinstance(one, RemoteBlobs)
    looked = one._is_older
    looks: list[str] = []

    def interrupted(place: str, limit: datetime | None) -> bool:
        found = looked(place, limit)
        looks.append(place)
        if len([seen for seen in looks if seen.endswith(name)]) == 1 and place.endswith(name):
            S3FileSystem.clear_instance_cache()
            _store(tmp_path / "c", "again").put_bytes(b"wanted again")
        return found

    monkeypatch.setattr(one, "_is_older", interrupted)
    assert one.discard((), before) == 1
    with other.open(name) as stream:
        assert stream.read() == b"wanted again"
    with pytest.raises(NotFound):
        other.size_bytes(unwanted)


def test_twenty_outages_lose_nothing_that_was_acknowledged(way: Proxy, tmp_path: Path) -> None:
    """The store is cut off at any moment of a stream of writes."""
    store = _store(tmp_path / "a", "outages")
    generator = np.random.default_rng(0)
    acknowledged: dict[str, bytes] = {}
    ended = threading.Event()

    def outages() -> None:
        for pause_s in generator.uniform(0.0, 0.05, 20):
            before, until = len(acknowledged), time.monotonic() + 20
            while len(acknowledged) < before + 3 and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(pause_s)
            way.close()
            time.sleep(0.1)
            way.open()
        ended.set()

    thread = threading.Thread(target=outages)
    thread.start()
    number = 0
    while not ended.is_set():
        content = number.to_bytes(4, "little") * (1 + number % 5000)
        number += 1
        try:
            acknowledged[store.put_bytes(content)] = content
        except Unavailable:
            time.sleep(0.01)
    thread.join()
    assert len(acknowledged) >= 60
    elsewhere = _store(tmp_path / "b", "outages")
    for name, content in acknowledged.items():
        with elsewhere.open(name) as stream:
            assert stream.read() == content


def test_a_search_goes_on_when_the_store_is_back(
    way: Proxy, tmp_path: Path, toy_arrays: Path
) -> None:
    service = Service(
        tmp_path / "var",
        **s3.environment(way.port),
        NAS_BLOBS_URL=f"s3://{s3.BUCKET}/search",
    )
    service.start()
    nas = service.client
    try:
        nas.add_device("here", this_machine=True)
        nas.wait(nas.upload_dataset("toy", toy_arrays)["job"]["id"], timeout_s=240)
        search = nas.submit_search(**toy_search(precisions=["fp32"]))["id"]
        service.wait_until(lambda: nas.search(search)["state"] == "profiling", 240, 0.02)
        for n_cut in (1, 2):
            way.close()
            service.wait_until(lambda n=n_cut: _n_tried_again(service) >= n, 240)
            way.open()
            service.wait_until(lambda: nas.search(search)["state"] == "searching", 240, 0.02)
        service.wait_until(
            lambda: nas.search(search)["state"] in {"succeeded", "failed", "cancelled"}, 400
        )
        assert nas.search(search)["state"] == "succeeded", nas.search(search)["problem"]
        (winner,) = nas.winners(search)
        assert winner["results"]
        (first, *_) = nas.get("/v1/artifacts", owner=search)["items"]
        nas.download(first["id"], tmp_path / "file")
        assert (tmp_path / "file").stat().st_size == first["size_bytes"]
    finally:
        service.stop()


def _n_tried_again(service: Service) -> int:
    found = 0
    for job in service.client.every("/v1/jobs"):
        events = service.client.get(f"/v1/jobs/{job['id']}/events")
        found += sum(one["event"] == "trying again" for one in events)
    return found
