"""A disk that is full for a while, a real one: what is under way goes on when there is room."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from nas_service.settings import Settings
from nas_service.storage import searches
from nas_service.storage.session import Database
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search

SIZE_BYTES = 128 * 1024**2
FULL_S = 1.5
N_FULL = 40 if os.environ.get("NAS_TEST_FAULTS") else 6
SEARCH = toy_search(precisions=("fp32",), measuring_budget=2, n_queries=24)
Told = list[tuple[object, ...]]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory, of that size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Nothing can be written meanwhile."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while stream.write(b"0" * 65536):
                pass
        except OSError:
            yield
        finally:
            ballast.unlink()


def _told(database: Database, search_id: str) -> Told:
    with database.session() as session:
        return [
            (one.number, one.genotype, one.accuracy)
            for one in searches.evaluations_of(session, search_id)
        ]


@pytest.mark.slow
def test_a_search_goes_on_and_is_the_same_however_often_the_disk_was_full(
    disk: Path, prepared: Path, tmp_path: Path
) -> None:
    whole = _undisturbed(copied(prepared, tmp_path / "whole"))
    var_dir = copied(prepared, disk / "var")
    service = Service(var_dir, NAS_MIN_FREE_BYTES="0")
    generator = random.Random(5)  # noqa: S311
    service.start()
    database = Database(Settings(var_dir=var_dir).url)
    try:
        cut = service.client.submit_search(**SEARCH)["id"]
        refused: list[httpx.Response] = []
        for _ in range(N_FULL):
            time.sleep(generator.uniform(0.2, 2.0))
            with full(disk):
                until = time.monotonic() + FULL_S
                while time.monotonic() < until:
                    refused.append(_asked(service))
                    time.sleep(0.2)
        ended = service.client.wait(cut, timeout_s=600)
        assert ended["state"] == "succeeded", ended
        assert _told(database, cut) == whole
        (winner,) = service.client.winners(cut)
        assert winner["results"]
        assert {one.status_code for one in refused} <= {201, 503}
        assert any(one.status_code == 503 for one in refused)
        for one in refused:
            if one.status_code == 503:
                assert one.headers["Retry-After"].isdecimal()
        _sound(var_dir)
    finally:
        database.close()
        service.stop()


def _undisturbed(var_dir: Path) -> Told:
    """What the same search is told on a disk with room, from the same tables."""
    service = Service(var_dir)
    service.start()
    database = Database(Settings(var_dir=var_dir).url)
    try:
        search = service.client.submit_search(**SEARCH)["id"]
        assert service.client.wait(search, timeout_s=300)["state"] == "succeeded"
        return _told(database, search)
    finally:
        database.close()
        service.stop()


def _asked(service: Service) -> httpx.Response:
    """A device that is to be stored."""
    name = f"board-{time.monotonic_ns()}"
    return httpx.post(f"{service.url}/v1/devices", json={"name": name}, timeout=30)


def _sound(var_dir: Path) -> None:
    """No file is left in the making, and every one has the content of its name."""
    assert not list((var_dir / "blobs").glob("partial-*"))
    blobs = list((var_dir / "blobs").glob("??/*"))
    assert blobs
    for blob in blobs:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
