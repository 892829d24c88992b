"""Agents that wait for work: however many do, the database is asked once for all of them."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Collection

from starlette.concurrency import run_in_threadpool

from nas_service.api.waking import Waking
from nas_service.errors import NasError
from nas_service.storage import agents
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database
from nas_service.telemetry import logger

_log = logger(__name__)
POLL_S = 0.5
"""A task is seen within this where no database tells of it."""
_LEAST_S = 0.05
"""Between two looks, however often it tells; so many that come at once are asked for at once."""
_SEEN_EVERY_S = 5.0
"""Agents that wait have been heard of as lately."""


class AgentsWaiting:
    """One for the application; used from its event loop alone."""

    def __init__(self, database: Database, waking: Waking) -> None:
        self._database = database.of(SERVICE)
        self._waking = waking
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._noted = 0.0

    async def for_work(self, device_id: str, timeout_s: float, ticket: asyncio.Event) -> None:
        """Come back when there seems to be a task for a device's agent, or after so long.

        `ticket` was taken before its agent looked for itself: what came since is not missed.
        """
        if ticket.is_set():
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(device_id, set()).add(mine)
        if self._watch is None:
            # for all: what it logs is of no one's request
            self._watch = asyncio.create_task(self._keep_watch(), context=contextvars.Context())
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):
                await mine
        except TimeoutError:
            pass
        finally:
            there = self._waiting.get(device_id, set())
            there.discard(mine)
            if not there:
                self._waiting.pop(device_id, None)

    async def _keep_watch(self) -> None:
        """Look for all who wait, again and again, until nobody does."""
        try:
            while self._waiting:
                ticket = self._waking.ticket()
                await asyncio.sleep(_LEAST_S)
                devices = list(self._waiting)
                try:
                    found = await run_in_threadpool(self._look, devices)
                except NasError as error:  # the database is away: they wait on
                    _log.warning("agents wait", reason=error.detail)
                    found = set()
                for device_id in found:
                    for one in self._waiting.pop(device_id, ()):
                        if not one.done():
                            one.set_result(None)
                await self._waking.until(ticket, POLL_S)
        finally:
            self._watch = None

    def _look(self, devices: Collection[str]) -> set[str]:
        """Which of the devices have a task to be taken; all are noted as heard of."""
        with self._database.session() as session:
            if time.monotonic() - self._noted >= _SEEN_EVERY_S:
                agents.note_all_seen(session, devices)
                self._noted = time.monotonic()
            return agents.with_work(session) & set(devices)
