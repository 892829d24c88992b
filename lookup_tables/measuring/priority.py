"""Give the measuring thread a core and priority where the system allows it, and say what it got."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

NICENESS = -10


@contextlib.contextmanager
def priority(threads: int = 1) -> Iterator[dict[str, object]]:
    """While it is entered: niceness -10, and one core where `threads` is 1.

    Gives what was set: `niceness` and `core`, None where the system does not allow it. A thread is
    held on one core only where it was given priority: without, it could not leave a core that
    somebody else uses.
    """
    given: dict[str, object] = {"niceness": None, "core": None}
    if not hasattr(os, "setpriority") or not hasattr(os, "sched_setaffinity"):
        yield given
        return
    before = os.getpriority(os.PRIO_PROCESS, 0)
    cores = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        given["niceness"] = NICENESS
        if threads == 1 and len(cores) > 1:
            os.sched_setaffinity(0, {max(cores)})
            given["core"] = max(cores)
    try:
        yield given
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, before)
