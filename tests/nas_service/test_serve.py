"""One service has a data folder to itself, and ends when it is told to, whatever it waits for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.service import Service


def _second(var_dir: Path) -> subprocess.CompletedProcess[str]:
    """`nas serve` on that folder and another port."""
    return subprocess.run(
        [sys.executable, "-m", "nas_service.cli", "serve"],
        env={**os.environ, "NAS_VAR_DIR": str(var_dir), "NAS_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_service_on_a_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first, other = Service(tmp_path / "var"), Service(tmp_path / "var")
    first.start()
    try:
        refused = _second(tmp_path / "var")
        assert first.client.ready()
    finally:
        first.kill()  # as by kill -9: nobody cleans up
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert f"at {first.url} serves {tmp_path / 'var'} already" in line
    other.start()
    try:
        assert other.client.ready()
    finally:
        other.stop()
        first.client.close()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_can_be_stopped_while_its_database_does_not_answer(
    told: signal.Signals, tmp_path: Path
) -> None:
    """The host accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nas@127.0.0.1:{silent.getsockname()[1]}/nas"
        process = subprocess.Popen(
            [sys.executable, "-m", "nas_service.cli", "serve"],
            env={
                **os.environ,
                "NAS_VAR_DIR": str(tmp_path / "var"),
                "NAS_PORT": "0",
                "NAS_DATABASE_URL": url,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        children = psutil.Process(process.pid).children()
        assert len(children) == 2  # they wait to be told to begin
        process.send_signal(told)
        assert process.wait(timeout=30) != 0
        connection.close()
    until = time.monotonic() + 20
    while any(one.is_running() for one in children):
        assert time.monotonic() < until, children
        time.sleep(0.1)
