"""Removes what nobody needs any more, now and then, in a thread of its own."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from nas_service.engine import durable
from nas_service.settings import Settings
from nas_service.storage import artifacts, leases, retention
from nas_service.storage.blobs import BlobStore
from nas_service.storage.held_files import files_held
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database
from nas_service.telemetry import logger

_log = logger(__name__)
_DEAD_FOR_S = 3600.0
"""So long ago the lease of a worker ran out that nobody needs to know of it."""


class Housekeeper:
    """Keeps house every `housekeeping_every_s`; several workers that do harm nothing."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStore) -> None:
        self._settings = settings
        self._database = database.of(SERVICE)
        self._blobs = blobs
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being removed is removed, a part at a time."""
        self._ended.set()

    def _keep(self) -> None:
        while not self._ended.wait(self._settings.housekeeping_every_s):
            try:
                self.keep_house()
            except Exception as error:  # noqa: BLE001  # the thread has to outlive any outage
                _log.warning("not kept house", reason=str(error))

    def keep_house(self) -> None:
        """Once: rows, the engine's record, files that no row names."""
        kept = timedelta(days=self._settings.keep_history_days)
        with self._database.session() as session:
            old = retention.ended_before(session, kept)
            leases.forget_dead_leases(session, _DEAD_FOR_S)
        forgotten = self._forget(old)
        n_workflows = durable.forget_ended(self._settings.engine_url, old, self._ended.is_set)
        with files_held(self._settings, "collecting garbage"):
            with self._database.session() as session:
                unused = retention.unused_before(session)
                names = artifacts.referenced(session)
            n_files = self._blobs.discard(names, unused)
        if n_workflows or n_files or forgotten:
            told = {"n_workflows": n_workflows, "n_files": n_files, **forgotten.as_dict()}
            _log.info("kept house", **told)

    def _forget(self, before: datetime) -> retention.Forgotten:
        """Rows of before then, a part at a time."""
        found = retention.Forgotten(0, 0)
        while not self._ended.is_set():
            with self._database.session() as session:
                some = retention.forget(session, before)
            if not some:
                break
            found += some
        return found
