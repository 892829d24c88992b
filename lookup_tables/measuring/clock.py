"""The clock of a measurement: the system's, or one that a simulated machine moves."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and processor time of the calling thread, in nanoseconds, and waiting."""

    def wall_ns(self) -> int:
        """Monotonic time from an arbitrary start."""
        ...

    def cpu_ns(self) -> int:
        """Processor time that the calling thread has used."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def wall_ns(self) -> int:
        """See `Clock`."""
        return time.perf_counter_ns()

    def cpu_ns(self) -> int:
        """See `Clock`."""
        return time.thread_time_ns()

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
