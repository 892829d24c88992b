"""Wakes what waits in the API's event loop as soon as something was stored for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from nas_service.settings import Settings
from nas_service.storage.bell import Listener, can_ring

LISTENING_POLL_S = 5.0
"""Who listens looks all the same so often: a connection can be dead and not know it."""


class Waking:
    """One for the application; without `start` it knows of nothing, and who waits has to look.

    Take a ticket, look whether what you wait for is there, and wait for the ticket: nothing that
    is stored in between is missed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next = asyncio.Event()
        self._listener: Listener | None = None

    def start(self) -> None:
        """Listen, from within the event loop of those who wait."""
        self._loop = asyncio.get_running_loop()
        if can_ring(self._settings.url):
            self._listener = Listener(self._settings.engine_url, self._heard)
            self._listener.start()

    def stop(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.stop()

    def ticket(self) -> asyncio.Event:
        """What the next ring sets."""
        return self._next

    async def until(self, ticket: asyncio.Event, poll_s: float, most_s: float = 60.0) -> None:
        """Wait for a ticket; `poll_s` where nothing rings, or `most_s` where that is less."""
        listens = self._listener is not None and self._listener.listens
        patience_s = max(poll_s, LISTENING_POLL_S) if listens else poll_s
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(patience_s, most_s))):
                await ticket.wait()

    def _heard(self) -> None:
        assert self._loop is not None, "there is a listener"
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._next.set()
        self._next = asyncio.Event()
