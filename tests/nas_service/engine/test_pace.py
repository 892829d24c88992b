"""Queues are looked at seldom while there is nothing to do, and often as soon as there is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nas_service.engine.pace import IDLE_POLL_S, OLD_POLL_S, POLL_S
from nas_service.queues import OLD
from tests.service import Service


def _pace(var_dir: Path) -> dict[str, float]:
    """How often each queue is looked at."""
    connection = sqlite3.connect(var_dir / "engine.sqlite")
    try:
        rows = connection.execute("select name, polling_interval_sec from queues").fetchall()
    finally:
        connection.close()
    return dict(rows)


def test_an_idle_worker_looks_seldom_until_a_job_comes(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    service.start()
    try:

        def all_are(every_s: float) -> bool:
            told = _pace(tmp_path / "var")
            return all(told[name] == every_s for name in told if name not in OLD)

        service.wait_until(lambda: all_are(IDLE_POLL_S), 60)
        job = service.client.add_dataset("digits", builtin="digits")["job"]["id"]
        assert all_are(POLL_S)
        service.client.wait(job, timeout_s=120)
        service.wait_until(lambda: all_are(IDLE_POLL_S), 60)
        assert {_pace(tmp_path / "var")[name] for name in OLD} == {OLD_POLL_S}
    finally:
        service.stop()
