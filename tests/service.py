"""A service of its own for a test: started, killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas_service.client import Client


class Service:
    """`nas serve` on a folder and a free port, in a process group of its own."""

    def __init__(
        self,
        var_dir: Path,
        *,
        database_url: str | None = None,
        token: str | None = None,
        address: str = "127.0.0.1",
        **env: str,
    ) -> None:
        with socket.socket() as probe:
            probe.bind((address, 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://{address}:{self.port}"
        self._log = var_dir / "service.log"
        var_dir.mkdir(parents=True, exist_ok=True)
        self._env = {
            **os.environ,
            "NAS_VAR_DIR": str(var_dir),
            "NAS_HOST": address,
            "NAS_PORT": str(self.port),
            "NAS_LEASE_S": "3",
            "NAS_THREADS": "1",
            "OMP_NUM_THREADS": "1",  # the networks of tests are too small to share
        }
        self._env |= env
        if database_url:
            self._env["NAS_DATABASE_URL"] = database_url
        self._process: subprocess.Popen[bytes] | None = None
        self.client = Client(self.url, token=token)

    def start(self, *, only_api: bool = False) -> None:
        command = ["serve", "--api-only"] if only_api else ["serve"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nas_service.cli", *command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._env,
                start_new_session=True,
            )
        self.wait_until(self.client.ready, 90)

    def kill(self) -> None:
        """SIGKILL to every process of the service at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
        self.client.close()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until(self, done: Callable[[], Any], timeout_s: float, every_s: float = 0.1) -> Any:
        started = time.monotonic()
        while True:
            if found := done():
                return found
            if time.monotonic() - started > timeout_s:
                raise TimeoutError(f"not done in {timeout_s} s; log:\n{self.log()[-3000:]}")
            time.sleep(every_s)
