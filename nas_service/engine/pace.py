"""How often queues are looked at: often while there is work, seldom while there is none.

A look at a queue is a few queries, and a worker has half a dozen queues. Whoever enqueues has all
of them looked at often; a worker that finds no work twice in a row has them looked at seldom. The
engine makes intervals longer at once and shorter by a tenth a look: a job that comes to idle
workers begins within `IDLE_POLL_S`, those that follow it within less and less, and after some
seventeen seconds all are begun within `POLL_S` again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from dbos import DBOS, DBOSClient, Queue, error
from sqlalchemy.exc import SQLAlchemyError

from nas_service.telemetry import logger

_log = logger(__name__)

POLL_S = 0.25
IDLE_POLL_S = 2.0
OLD_POLL_S = 30.0
"""For queues that only an earlier version put jobs on."""
_LOOK_EVERY_S = 10.0
_HURRIED_S = 5.0
"""Within this none has become slow: that takes two looks of a worker."""


class Pace:
    """A worker's part: looks now and then whether there is anything to do."""

    def __init__(self, queues: Iterable[str]) -> None:
        self._queues = tuple(queues)
        self._looked = time.monotonic()
        self._was_idle = False

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
        slow, self._was_idle = self._was_idle and not busy, not busy
        if not (busy or slow):
            return  # work may be on its way
        for queue in DBOS.list_queues():
            if queue.name in self._queues:
                _set(queue, POLL_S if busy else IDLE_POLL_S)


class Hurry:
    """An enqueuer's part: what it enqueues is soon seen, and what that enqueues."""

    def __init__(self, client: DBOSClient, but: Iterable[str] = ()) -> None:
        self._client = client
        self._but = frozenset(but)
        self._hurried: float | None = None

    def __call__(self) -> None:
        """Have all queues looked at often, unless that was seen to a moment ago.

        What was enqueued is there, whether or not this works.
        """
        if self._hurried is not None and time.monotonic() - self._hurried < _HURRIED_S:
            return
        try:
            for queue in self._client.list_queues():
                if queue.name not in self._but:
                    _set(queue, POLL_S)
        except (SQLAlchemyError, error.DBOSException) as failed:
            _log.warning("queues stay slow", reason=str(failed))
        else:
            self._hurried = time.monotonic()


def _set(queue: Queue, every_s: float) -> None:
    if queue._polling_interval_sec != every_s:  # its row was just read, and the property reads it
        queue.set_polling_interval_sec(every_s)
