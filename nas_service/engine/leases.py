"""Leases of workers, and recovering the workflows of those that crashed.

The engine gives a crashed process its work back only when a process of the same name starts. Here
every worker has a name of its own and a lease that it renews; whoever sees work that is noted as
running on a worker without a lease puts it back on its queue. It looks again and again, so a
missed crash is found on the next look; it looks as well when a lease runs out that nobody renewed.
Who could not reach the database takes nothing over for a lease: others could not renew theirs.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping

from nas_service.errors import TakenOver
from nas_service.telemetry import logger

_log = logger(__name__)
_AFTER_S = 0.1
_APART_S = 0.2
"""So long after a lease has run out it is seen to have, by one worker after the other."""


class Keeper:
    """Renews this worker's lease and recovers workflows of crashed ones, in a thread of its own."""

    def __init__(
        self,
        *,
        lease_s: float,
        renew: Callable[[], None],
        live: Callable[[], Mapping[str, float]],
        pending: Callable[[], set[str]],
        recover: Callable[[list[str]], None],
        tidy: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        """`live` tells of those that live the seconds that are left of their leases.

        `lost` is called where others took over, which `renew` says by `TakenOver`.
        """
        self._lease_s = lease_s
        self._renew = renew
        self._live = live
        self._pending = pending
        self._recover = recover
        self._tidy = tidy
        self._lost = lost
        self._look_at = math.inf
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)

    def start(self) -> None:
        """Begin; the first lease has to be written before the engine is launched."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join(timeout=5)

    def recover_crashed(self) -> list[str]:
        """Recover the workflows of workers whose lease ran out; returns their names."""
        live = self._live()
        soonest_s = min(live.values(), default=self._lease_s)
        # not all workers at the same moment
        self._look_at = time.monotonic() + soonest_s + _AFTER_S + random.uniform(0.0, _APART_S)  # noqa: S311
        dead = sorted(self._pending() - set(live))
        if dead:
            _log.warning("recovering workflows of crashed workers", executors=dead)
            self._recover(dead)
        return dead

    def _keep(self) -> None:
        third_s = self._lease_s / 3
        renewed, clock = time.monotonic(), _ahead_s()
        # the database may have been away until now: those that live renew within a third of a lease
        blind_until = renewed + self._lease_s / 2
        round_at = renewed + third_s
        while not self._ended.wait(max(0.0, min(round_at, self._look_at) - time.monotonic())):
            # between rounds a lease may have run out that nobody renewed
            whole = time.monotonic() >= round_at
            try:
                if whole:
                    round_at = time.monotonic() + third_s
                    self._renew()
                away = time.monotonic() - renewed > self._lease_s
                moved = abs(_ahead_s() - clock) > third_s
                if away or moved:
                    # the database was away, or this machine's clock was set: others' leases ran
                    # out though they live
                    blind_until = time.monotonic() + self._lease_s
                clock = _ahead_s()
                renewed = time.monotonic() if whole else renewed
                self._look_at = math.inf
                if time.monotonic() >= blind_until:
                    self.recover_crashed()
                    if whole:
                        self._tidy()
            except TakenOver as error:
                self._lost(error.detail)
            except Exception as error:  # noqa: BLE001  # the thread has to outlive any outage
                # others could not renew either, and live
                blind_until = time.monotonic() + self._lease_s
                self._look_at = math.inf
                _log.warning("lease not renewed", reason=str(error))


def _ahead_s() -> float:
    """How far the clock on the wall is ahead of one that nobody sets."""
    return time.time() - time.monotonic()
