"""The API in a process of its own, for benchmarks that ask it over HTTP."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

from nas_service.client import Client
from nas_service.settings import Settings


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def api_service(settings: Settings) -> Iterator[str]:
    """The API in a process of its own, without a worker."""
    port = free_port()
    env = {**os.environ, "NAS_VAR_DIR": str(settings.var_dir), "NAS_PORT": str(port)}
    command = [sys.executable, "-m", "nas_service.cli", "serve", "--api-only"]
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with Client(url := f"http://127.0.0.1:{port}") as nas:
            nas.wait_until_it_answers(60)
        yield url
    finally:
        process.terminate()
        process.wait()
