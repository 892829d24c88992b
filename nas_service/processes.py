"""Processes that end when the one that started them does."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


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
