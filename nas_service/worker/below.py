"""Jobs that a job starts and waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.orm import Session

from nas_service import tracing
from nas_service.engine import durable
from nas_service.errors import Cancelled, Conflict
from nas_service.queues import queue_of
from nas_service.storage import jobs
from nas_service.storage.fair_queueing import place
from nas_service.storage.session import Database
from nas_service.worker.steps import Json, Runner, T, retried

_LOOK_EVERY_S = 0.3


class Below:
    """Starts jobs below another one, and waits for them; what it is told is stored there."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._database: Database = runner.context.database

    def start(
        self,
        kind: str,
        parent: str,
        job_id: str,
        params: Json,
        span: tuple[float, float],
    ) -> Callable[[], Json]:
        """Start a job that this one waits for, or join the one of that id."""
        params = {**params, "reports_to": {"job": parent, "span": list(span)}, **tracing.here()}
        queue = queue_of(kind, params)

        def add(session: Session) -> int | None:
            cancelled = jobs.is_cancelled(session, parent)
            job = jobs.add_job(session, job_id, kind, subject=parent, params=params, parent=parent)
            if cancelled:
                return None
            waits = f"waiting for a worker on queue {queue.name}"  # until it says what it does
            self._runner.store_progress(session, parent, span[0], waits)
            return place(job.priority, job.start_tag)

        at = self.stored(add)
        if at is None:
            raise Cancelled("cancelled")
        outcome = durable.enqueue_child(kind, queue, job_id, params, place=at)

        def wait() -> Json:
            while retried(lambda: self._goes_on(parent, job_id, span)):
                time.sleep(_LOOK_EVERY_S)
            return outcome()

        return wait

    def _goes_on(self, parent: str, job_id: str, span: tuple[float, float]) -> bool:
        """Whether a job that another waits for has yet to end.

        Raises:
            Cancelled: nobody waits for it any more.
        """
        with self._database.session() as session:
            cancelled = jobs.is_cancelled(session, parent)
            job = jobs.get_job(session, job_id)
            ended = job.state in jobs.FINAL
            own = job.params.get("reports_to", {}).get("job") == parent
            if cancelled and own and not ended:
                # it may have come while that was asked for; a step that runs is waited for
                with suppress(Conflict):
                    jobs.request_cancel(session, job_id)
                return True
            if not (cancelled or own or ended):  # another's first: its progress is told there
                at = span[0] + (span[1] - span[0]) * job.fraction
                self._runner.store_progress(session, parent, at, job.message)
        if cancelled:
            raise Cancelled("cancelled")
        return not ended

    def stored(self, work: Callable[[Session], T]) -> T:
        """Read or write in one transaction, however long the database is away before it."""

        def once() -> T:
            with self._database.session() as session:
                return work(session)

        return retried(once)
