"""Leases of workers, and recovering the workflows of those that crashed.

The engine gives a crashed process its work back only when a process of the same name starts. Here
every worker has a name of its own and a lease that it renews; whoever sees work that is noted as
running on a worker without a lease puts it back on its queue. It looks again and again, so a
missed crash is found on the next look; it looks as well when a lease runs out that nobody renewed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from nas_service.errors import TakenOver
from nas_service.telemetry import logger

_log = logger(__name__)
_AFTER_S = 0.1
"""So long after a lease has run out it is seen to have."""


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
        self._soonest_s = lease_s
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
        self._soonest_s = min(live.values(), default=self._lease_s)
        dead = sorted(self._pending() - set(live))
        if dead:
            _log.warning("recovering workflows of crashed workers", executors=dead)
            self._recover(dead)
        return dead

    def _keep(self) -> None:
        renewed, clock = time.monotonic(), _ahead_s()
        # the database may have been away until now: those that live renew within a third of a lease
        blind_until = renewed + self._lease_s / 2
        pause_s = self._lease_s / 3
        while not self._ended.wait(pause_s):
            pause_s = self._lease_s / 3
            try:
                self._renew()
                away = time.monotonic() - renewed > self._lease_s
                moved = abs(_ahead_s() - clock) > self._lease_s / 3
                if away or moved:
                    # the database was away, or this machine's clock was set: others' leases ran
                    # out though they live
                    blind_until = time.monotonic() + self._lease_s
                renewed, clock = time.monotonic(), _ahead_s()
                if renewed >= blind_until:
                    self.recover_crashed()
                    self._tidy()
                    # one that lives renews long before: whoever has so little left may be dead
                    pause_s = min(pause_s, self._soonest_s + _AFTER_S)
            except TakenOver as error:
                self._lost(error.detail)
            except Exception as error:  # noqa: BLE001  # the thread has to outlive any outage
                _log.warning("lease not renewed", reason=str(error))


def _ahead_s() -> float:
    """How far the clock on the wall is ahead of one that nobody sets."""
    return time.time() - time.monotonic()
