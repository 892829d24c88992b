"""How often queues are looked at: often while there is work, seldom while there is none.

A look at a queue is a few queries, and a worker has half a dozen queues. Whoever enqueues makes
all of them quick; a worker that finds no work for a while makes them slow again. A job that comes
to idle workers is so begun within `IDLE_POLL_S`, and all that follow it at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from dbos import DBOS, DBOSClient, Queue

POLL_S = 0.25
IDLE_POLL_S = 2.0
OLD_POLL_S = 30.0
"""For queues that only an earlier version put jobs on."""
_LOOK_EVERY_S = 10.0
_HURRIED_S = 5.0
"""After this long queues may be slow again, and whoever enqueues has to see to it."""


class Pace:
    """A worker's part: looks now and then whether there is anything to do."""

    def __init__(self, queues: Iterable[str]) -> None:
        self._queues = tuple(queues)
        self._looked = time.monotonic()

    def keep(self) -> None:
        """Set the queues' pace; nothing is asked where that was done not long ago."""
        if time.monotonic() - self._looked < _LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        busy = bool(
            DBOS.list_workflows(
                status=["ENQUEUED", "PENDING"], limit=1, load_input=False, load_output=False
            )
        )
        for name in self._queues:
            queue = DBOS.retrieve_queue(name)
            if queue is not None:
                _set(queue, POLL_S if busy else IDLE_POLL_S)


class Hurry:
    """An enqueuer's part: what it enqueues is soon seen, and what that enqueues."""

    def __init__(self, client: DBOSClient, but: Iterable[str] = ()) -> None:
        self._client = client
        self._but = frozenset(but)
        self._hurried: float | None = None

    def __call__(self) -> None:
        """Make all queues quick, unless that was done a moment ago."""
        if self._hurried is not None and time.monotonic() - self._hurried < _HURRIED_S:
            return
        self._hurried = time.monotonic()
        for queue in self._client.list_queues():
            if queue.name not in self._but:
                _set(queue, POLL_S)


def _set(queue: Queue, every_s: float) -> None:
    if queue.polling_interval_sec != every_s:
        queue.set_polling_interval_sec(every_s)
