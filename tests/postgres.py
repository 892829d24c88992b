"""A PostgreSQL cluster of a test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tools import lacks


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its URL, and what stops it at once and starts it again."""

    url: str
    restart: Callable[[], None]


@contextmanager
def cluster(address: str = "127.0.0.1") -> Iterator[str]:
    """A cluster on a free port, as a user other than root; gives its URL."""
    with restartable(address) as made:
        yield made.url


@contextmanager
def restartable(address: str = "127.0.0.1") -> Iterator[Cluster]:
    """The same, which can be restarted."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        lacks("PostgreSQL is not installed (Debian: postgresql)")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        lacks("runuser is not installed; PostgreSQL does not run as root")
    binaries = found[-1].parent
    folder = Path("/tmp") / f"nas-postgres-{os.getpid()}"  # noqa: S108  # sockets need a short path
    folder.mkdir(mode=0o777)
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    options = f"-p {port} -c listen_addresses={address} -k {folder}"
    start = [binaries / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"]
    stop = [binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"]
    init = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "nas"]
    try:
        subprocess.run([*as_user, *map(str, init)], check=True, capture_output=True, cwd=folder)
        with (data / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all nas 10.83.0.0/16 trust\n")  # the networks of tests/faults
        subprocess.run([*as_user, *map(str, start)], check=True, capture_output=True, cwd=folder)

        def restart() -> None:
            for command in (stop, start):
                subprocess.run(
                    [*as_user, *map(str, command)], check=True, capture_output=True, cwd=folder
                )

        yield Cluster(f"postgresql://nas@{address}:{port}/postgres", restart)
    finally:
        subprocess.run([*as_user, *map(str, stop)], check=False, capture_output=True, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)
