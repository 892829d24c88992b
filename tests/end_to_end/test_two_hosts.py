"""Two workers under the names of two machines: each measures on its own device and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_service.client import ApiError
from nas_service.settings import Settings
from nas_service.storage import jobs, leases
from nas_service.storage.session import Database
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search

OTHER = "host-b"
PROFILE = {
    "space": "mbconv",
    "dataset": "toy",
    "precisions": ["fp32"],
    "networks": 10,
    "profile_budget_s": 5,
}


class Host:
    """A worker that measures under a machine's name, on the folder of a service."""

    def __init__(self, var_dir: Path, machine: str) -> None:
        self._env = {
            **os.environ,
            "NAS_VAR_DIR": str(var_dir),
            "NAS_MACHINE": machine,
            "NAS_LEASE_S": "3",
            "NAS_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._log = var_dir / f"{machine}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nas_service.cli", "worker", "--queues", "device"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._env,
                start_new_session=True,
            )
        return self.process.pid

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> Iterator[tuple[Service, Host, Database]]:
    service = Service(copied(prepared, tmp_path / "var"))
    host = Host(tmp_path / "var", OTHER)
    database = Database(Settings(var_dir=tmp_path / "var").url)
    service.start()
    try:
        yield service, host, database
    finally:
        host.kill()
        service.stop()
        database.close()


def _pids(database: Database, job_id: str) -> set[int]:
    """The workers that ran a job's steps."""
    with database.session() as session:
        events = jobs.events_of(session, job_id)
    return {int(one.executor.rpartition("_")[0].rpartition("-")[2]) for one in events}


@pytest.mark.slow
def test_each_worker_measures_on_its_own_device(world: tuple[Service, Host, Database]) -> None:
    service, host, database = world
    nas = service.client
    with pytest.raises(ApiError, match="no worker that measures runs on machine 'host-b'"):
        nas.add_device("other", machine=OTHER)
    pid = host.start()
    service.wait_until(lambda: OTHER in _machines(database), 60)
    added = nas.add_device("other", machine=OTHER)
    assert added["facts"]["machine"] == OTHER
    assert added["facts"]["n_cores"] == len(os.sched_getaffinity(0))
    there = nas.profile("other", **PROFILE)["job"]["id"]
    here = nas.profile("here", **PROFILE)["job"]["id"]
    for job in (there, here):
        nas.wait(job, timeout_s=240)
    assert _pids(database, there) == {pid}
    assert pid not in _pids(database, here)

    # a search on the other machine's device is controlled and trained here, measured there
    search = nas.submit_search(**toy_search(device="other", precisions=["fp32"]))["id"]
    nas.wait(search, timeout_s=400)
    (winner, *_) = nas.winners(search)
    assert winner["results"][0]["measured_latency_ms"] > 0
    assert _pids(database, f"{search}-certify") == {pid}
    assert _pids(database, f"{winner['id']}-measure") == {pid}
    assert pid not in _pids(database, search)
    assert pid not in _pids(database, f"{winner['id']}-compress")

    # nobody takes the work of a machine whose worker is gone, until one is back
    host.kill()
    service.wait_until(lambda: OTHER not in _machines(database), 60)
    waiting = nas.profile("other", **PROFILE)["job"]["id"]
    after = nas.profile("here", **PROFILE)["job"]["id"]
    nas.wait(after, timeout_s=240)
    assert nas.job(waiting)["state"] == "queued"
    again = host.start()
    nas.wait(waiting, timeout_s=240)
    assert _pids(database, waiting) == {again}


def _machines(database: Database) -> set[str]:
    with database.session() as session:
        return set(leases.machines(session))
