"""Who waits for what others store hears of it: by PostgreSQL's LISTEN and NOTIFY.

SQLite has nothing like it; there, and while a listener is cut off, who waits has to look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sqlalchemy import func, make_url, select
from sqlalchemy.orm import Session

from nas_service.postgresql import limits_beside
from nas_service.telemetry import logger

_log = logger(__name__)
CHANNEL = "nas_work"
_AGAIN_S = 1.0


def ring(session: Session) -> None:
    """Have everybody who listens hear of this transaction, once it is committed."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_notify(CHANNEL, "")))


def can_ring(url: str) -> bool:
    """Whether a database tells those who listen."""
    return make_url(url).get_backend_name() == "postgresql"


class Listener:
    """Listens in a thread of its own, on a connection of its own, again where that is lost."""

    def __init__(self, url: str, heard: Callable[[], None]) -> None:
        self.listens = False
        self._url = url
        self._heard = heard
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="listener", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a second."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _keep(self) -> None:
        import psycopg  # an extra: who has PostgreSQL has it
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        address = make_conninfo(self._url, **limits_beside(conninfo_to_dict(self._url)))
        while not self._ended.is_set():
            try:
                with psycopg.connect(address, autocommit=True) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.listens = True
                    self._heard()  # of what was stored before
                    while not self._ended.is_set():
                        for _ in connection.notifies(timeout=_AGAIN_S, stop_after=1):
                            self._heard()
            except psycopg.Error as error:
                _log.warning("not listening", reason=str(error).strip().splitlines()[0])
            finally:
                self.listens = False
            self._ended.wait(_AGAIN_S)
