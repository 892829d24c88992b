"""A worker as if on another machine: a folder of its own, on a service's database and files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

LEASE_S = 3


class Elsewhere:
    """`nas worker` in a process group of its own; `own` is its folder, and names its machine."""

    def __init__(self, own: Path, var_dir: Path, *queues: str, machine: str = "local") -> None:
        own.mkdir()
        for name in ("nas.sqlite", "engine.sqlite"):
            (own / name).symlink_to(var_dir / name)
        self.log = own / "worker.log"
        env = {
            **os.environ,
            "NAS_VAR_DIR": str(own),
            "NAS_BLOBS_URL": str(var_dir / "blobs"),
            "NAS_MACHINE": machine,
            "NAS_LEASE_S": str(LEASE_S),
            "NAS_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        only = ["--queues", ",".join(queues)] if queues else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nas_service.cli", "worker", *only],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=env,
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """To it and to the processes of its steps."""
        os.killpg(self.process.pid, number)

    def end(self) -> None:
        """SIGKILL, where it has not ended."""
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()
