"""Give the measuring thread a core and priority where the system allows it, and say what it got."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

NICENESS = -10


@dataclass(frozen=True, slots=True)
class Granted:
    """What a thread was given, None where the system does not allow it."""

    niceness: int | None = None
    core: int | None = None


@contextlib.contextmanager
def priority(threads: int = 1) -> Iterator[Granted]:
    """While it is entered: niceness -10, and one core where `threads` is 1.

    A thread is held on one core only where it was given priority: without, it could not leave a
    core that somebody else uses.
    """
    granted = Granted()
    if not hasattr(os, "setpriority") or not hasattr(os, "sched_setaffinity"):
        yield granted
        return
    before = os.getpriority(os.PRIO_PROCESS, 0)
    cores = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        granted = Granted(NICENESS)
        if threads == 1 and len(cores) > 1:
            os.sched_setaffinity(0, {max(cores)})
            granted = Granted(NICENESS, max(cores))
    try:
        yield granted
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, before)
