"""PostgreSQL is stopped at once and started again while many write: nothing said is lost."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.postgres import restartable
from tests.service import Service

pytestmark = pytest.mark.slow
N_RESTARTS = 20 if os.environ.get("NAS_TEST_FAULTS") else 3
N_WRITERS = 4
LONGEST_S = 5.0
"""So long after a restart requests may still be refused."""


class _Writer(threading.Thread):
    """Registers devices, one after the other, until it is told to stop."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name=name)
        self._url = url
        self.enough = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[tuple[float, int, str | None]] = []

    def run(self) -> None:
        number = 0
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self.enough.is_set():
                name = f"{self.name}-{number}"
                number += 1
                answer = client.post("/v1/devices", json={"name": name})
                if answer.status_code == 201:
                    self.acknowledged.append(name)
                else:
                    wait = answer.headers.get("Retry-After")
                    self.refused.append((time.monotonic(), answer.status_code, wait))
                    time.sleep(0.05)


def test_what_was_acknowledged_is_there_and_who_was_refused_is_told_when_to_come_back(
    tmp_path: Path,
) -> None:
    with restartable() as database:
        service = Service(
            tmp_path / "var", database_url=database.url, NAS_RATE_LIMIT="", NAS_LEASE_S="6"
        )
        service.start()
        writers = [_Writer(service.url, f"writer{number}") for number in range(N_WRITERS)]
        outages: list[tuple[float, float]] = []
        try:
            for one in writers:
                one.start()
            for _ in range(N_RESTARTS):
                time.sleep(1.0)
                began = time.monotonic()
                database.restart()
                outages.append((began, time.monotonic()))
            time.sleep(LONGEST_S + 1.0)
            for one in writers:
                one.enough.set()
            for one in writers:
                one.join()
            stored = {one["name"] for one in service.client.every("/v1/devices")}
            assert all(set(one.acknowledged) <= stored for one in writers)
            assert sum(len(one.acknowledged) for one in writers) > 10 * N_RESTARTS
            for at, status, wait in (each for one in writers for each in one.refused):
                assert (status, wait) == (503, "2")
                assert any(began <= at <= ended + LONGEST_S for began, ended in outages)
            # and what a worker does goes on
            service.client.wait(
                service.client.add_dataset("digits", builtin="digits")["job"]["id"], timeout_s=120
            )
        finally:
            for one in writers:
                one.enough.set()
            service.stop()
