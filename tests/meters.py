"""Meters for tests, where no machine of ours has one: `NAS_METER=tests.meters:steady`."""

from __future__ import annotations

import time
from collections.abc import Callable

WATTS = 2.0


def steady() -> Callable[[], float]:
    """Joules that a machine has used which always draws 2 W."""
    return lambda: WATTS * time.perf_counter()
