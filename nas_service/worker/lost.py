"""Jobs that were stored but never reached the engine: the process was killed in between."""

from __future__ import annotations

from datetime import timedelta

from nas_service.engine import durable
from nas_service.queues import queue_of
from nas_service.storage import jobs
from nas_service.storage.fair_queueing import place
from nas_service.storage.session import Database, now
from nas_service.telemetry import logger

_log = logger(__name__)
_HANDOVER_S = 2.0
"""So long after it was stored a job may still be on its way to the engine."""
AT_ONCE = 300


class LostJobs:
    """Looks at so many jobs at a time, from where it last ended, however many wait."""

    def __init__(self, database: Database, engine_url: str) -> None:
        self._database = database
        self._engine_url = engine_url
        self._client: durable.Client | None = None
        self._after = ""

    def enqueue_all(self) -> None:
        """Look at every job that has not ended."""
        self._after = ""
        self.enqueue_some()
        while self._after:
            self.enqueue_some()

    def enqueue_some(self) -> None:
        """Look at the next ones; after the last comes the first."""
        stored_before = now() - timedelta(seconds=_HANDOVER_S)
        with self._database.session() as session:
            found = jobs.unfinished_after(session, self._after, stored_before, AT_ONCE)
        self._after = found[-1][0] if len(found) == AT_ONCE else ""
        names = [job_id for job_id, parent in found if parent is None]
        if not names:
            return
        self._client = self._client or durable.Client(self._engine_url)
        known = self._client.known(names)
        for job_id in names:
            if job_id not in known:
                self._enqueue(self._client, job_id)

    def _enqueue(self, client: durable.Client, job_id: str) -> None:
        with self._database.session() as session:
            job = jobs.get_job(session, job_id)
        if job.state in jobs.FINAL:
            return
        _log.warning("enqueueing a job that was lost", job=job.id)
        try:
            queue, at = queue_of(job.kind, job.params), place(job.priority, job.start_tag)
            client.enqueue(job.kind, queue, job.id, job.params, place=at)
        except Exception as error:  # noqa: BLE001  # one that cannot be holds up no other
            _log.error("not enqueued", job=job.id, reason=str(error))
