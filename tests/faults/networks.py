"""Two hosts on a network that can be cut: namespaces of the kernel with a router between them.

While it is cut packets are dropped without a word, as a firewall that forgot a connection or a
cable that was pulled far away does: no connection ends by itself. Nothing outside is reached.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tools import lacks

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
FIRST, SECOND = "10.83.1.1", "10.83.2.1"
"""Addresses of the two hosts."""
_GATES = {FIRST: "10.83.1.2", SECOND: "10.83.2.2"}


class Hosts:
    """Both hosts; a process that is started while `on` one of them runs there."""

    def __init__(self, names: dict[str, str], router: str) -> None:
        self._names = names
        self._router = router

    @contextmanager
    def on(self, address: str) -> Iterator[None]:
        """This thread, and what it starts, is on the host of that address."""
        with (
            Path("/proc/thread-self/ns/net").open() as before,
            (Path("/run/netns") / self._names[address]).open() as there,
        ):
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def cut(self) -> None:
        """Drop every packet between them."""
        self._forward(0)

    def mend(self) -> None:
        """Let packets through again."""
        self._forward(1)

    def _forward(self, on: int) -> None:
        _run("netns", "exec", self._router, "sysctl", "-qw", f"net.ipv4.ip_forward={on}")


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    """Two hosts that reach each other, at `FIRST` and `SECOND`, and nobody else."""
    for tool, package in (("ip", "iproute2"), ("sysctl", "procps")):
        if shutil.which(tool) is None:
            lacks(f"{tool} is not installed (Debian: {package})")
    made = f"nas{os.getpid()}"
    router = f"{made}r"
    names = {FIRST: f"{made}a", SECOND: f"{made}b"}
    try:
        _run("netns", "add", router)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine makes no network namespaces: {error.stderr.decode().strip()}")
    try:
        for number, (address, name) in enumerate(names.items()):
            _run("netns", "add", name)
            end = f"to{number}"
            ends = ("eth0", "netns", name, "type", "veth", "peer", "name", end, "netns", router)
            _run("link", "add", *ends)
            _run("-n", name, "addr", "add", f"{address}/30", "dev", "eth0")
            _run("-n", router, "addr", "add", f"{_GATES[address]}/30", "dev", end)
            for device in ("lo", "eth0"):
                _run("-n", name, "link", "set", device, "up")
            _run("-n", router, "link", "set", end, "up")
            _run("-n", name, "route", "add", "default", "via", _GATES[address])
        found = Hosts(names, router)
        found.mend()
        yield found
    finally:
        for name in (*names.values(), router):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _run(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _enter(namespace: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")
