"""Meters for tests, where no machine of ours has one: `NAS_METER=tests.meters:steady`."""

from __future__ import annotations

import time
from collections.abc import Callable

WATTS = 2.0


def steady() -> Callable[[], float]:
    """Joules that this process has used on a machine that draws 2 W while it works.

    Its time on the processor, so that what else runs here beside a test costs it nothing.
    """
    return lambda: WATTS * time.process_time()
