"""The agent as a process of its own, from the file that the service gives out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.service import Service


class Agent:
    """`agent.pyz` as the service gives it out, run by a bare Python."""

    def __init__(self, service: Service, folder: Path, token: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "agent.pyz"
        self._file.write_bytes(service.client.fetch("/agent.pyz"))
        self._arguments = ["--server", service.url, "--token", token, "--folder", str(folder)]
        self._log = folder / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(self._file), *self._arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._file.parent,
                env={**environment, "OMP_NUM_THREADS": "1"},
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def mapped(self) -> str:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/maps").read_text()

    def log(self) -> str:
        return self._log.read_text()


def add_agent(service: Service, folder: Path, device: str) -> Agent:
    """Register a device and make ready what runs on it."""
    service.client.add_device(device, kind="board", model="unknown board")
    return Agent(service, folder / device, service.client.make_token(device)["token"])
