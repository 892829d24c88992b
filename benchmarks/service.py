"""A service of this machine for a benchmark, on a free port and a folder of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from nas_service.client import Client


@contextlib.contextmanager
def service(var_dir: Path) -> Iterator[Client]:
    """Its client; the service ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = {**os.environ, "NAS_VAR_DIR": str(var_dir), "NAS_PORT": str(port)}
    process = subprocess.Popen(  # our own interpreter and module
        [sys.executable, "-m", "nas_service.cli", "serve"], env=env, stdout=sys.stderr
    )
    try:
        with Client(f"http://127.0.0.1:{port}") as nas:
            nas.wait_until_it_answers(60.0)
            yield nas
    finally:
        process.terminate()
        process.wait()
