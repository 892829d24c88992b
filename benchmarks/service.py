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


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def served(var_dir: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """`nas serve` in a process group of its own, to be ended by whoever asked for it."""
    ours = {"NAS_VAR_DIR": str(var_dir), "NAS_PORT": str(port)}
    ours["NAS_PARENT_PID"] = str(os.getpid())  # it ends with the benchmark, however that does
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", "nas_service.cli", "serve", *options],
        env=os.environ | ours,
        stdout=sys.stderr,
        start_new_session=True,
    )


@contextlib.contextmanager
def service(var_dir: Path) -> Iterator[Client]:
    """Its client; the service ends with the block."""
    port = free_port()
    process = served(var_dir, port)
    try:
        with Client(f"http://127.0.0.1:{port}") as nas:
            nas.wait_until_it_answers(60.0)
            yield nas
    finally:
        process.terminate()
        process.wait()
