"""Processes that end when the one that started them does."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
WAITS = "NAS_WAITS_FOR_INPUT"
"""In the environment of a process that waits until its input says `BEGIN`."""
BEGIN = b"."
ALONE = "NAS_ALONE"
"""In the environment of a worker whose service has the data folder to itself."""


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when the one that started it ends (Linux).

    To be called in the child, before it does anything. `parent` is the id of who started it, by
    default what the environment says. Where neither tells, somebody's shell did, which may end
    before it.
    """
    expected = parent if parent is not None else os.environ.get("NAS_PARENT_PID")
    if sys.platform != "linux" or expected is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(expected):
        os._exit(1)  # it ended before the line above


def wait_for_start() -> None:
    """Wait until whoever started this process says that it may begin, where it is to wait.

    Where that one is gone, so is this process.
    """
    if os.environ.pop(WAITS, None) is None:  # those that this process starts do not wait
        return
    if sys.stdin.buffer.read(1) != BEGIN:
        os._exit(1)


@contextmanager
def uncollected() -> Iterator[None]:
    """Import within this: what stays until the process ends is never looked through for garbage.

    An API is up a sixth earlier.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
