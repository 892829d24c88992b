"""Runs a job's steps: checkpointed, in child processes, with progress, cancel and a record."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from nas_service import tracing
from nas_service.engine import child, durable
from nas_service.errors import Cancelled, NasError, StepFailed, Unavailable, from_dict, lacking
from nas_service.jobs.params import JobParams
from nas_service.jobs.results import StepResult
from nas_service.storage import jobs
from nas_service.storage.scope import SERVICE
from nas_service.telemetry import logger, within
from nas_service.worker.context import Context
from nas_service.worker.locks import held, locks_of
from nas_service.worker.step import Step

_log = logger(__name__)
_REPORT_EVERY_S = 0.5
PAUSES_S = (1.0, 4.0, 15.0, 60.0)
"""Between the attempts of a step that lacked something."""

Json = dict[str, Any]
Ended = Callable[[Session, Json], None]
"""Writes with the end of a job what its outcome means elsewhere."""
T = TypeVar("T")
P = TypeVar("P", bound=JobParams)
R = TypeVar("R", bound=StepResult | None)


@dataclass(frozen=True)
class Runner:
    """Runs steps of the workflows in this worker."""

    context: Context
    executor: str

    def of_job(self, job_id: str) -> Runner:
        """The same within the scope of a job."""
        database = self.context.database
        with database.of(SERVICE).session() as session:
            scope = jobs.project_of(session, job_id)
        return replace(self, context=replace(self.context, database=database.of(scope)))

    def job(self, job_id: str, work: Callable[[], None], *, ended: Ended | None = None) -> Json:
        """Run a whole job: notes how it starts and ends, and gives its outcome as a value.

        What `ended` writes is there as soon as the job is seen to have ended, not after it.
        """
        if not retried(lambda: self._start(job_id)):
            self.context.tidy(job_id)
            return retried(lambda: self._finish(job_id, "cancelled", None, ended))
        try:
            with within(job=job_id):
                work()
            state, problem = "succeeded", None
        except Cancelled as error:
            state, problem = "cancelled", error.as_dict()
        except NasError as error:
            state, problem = "failed", error.as_dict()
            _log.warning("job failed", job=job_id, **problem)
        except Exception as error:  # noqa: BLE001  # the border of the job: its user has to be told
            _log.error("job broke", job=job_id, exc_info=error)
            state = "failed"
            problem = StepFailed(f"{type(error).__name__}: {error}").as_dict()
        self.context.tidy(job_id)
        return retried(lambda: self._finish(job_id, state, problem, ended))

    def _start(self, job_id: str) -> bool:
        with self.context.database.session() as session:
            return jobs.start(session, job_id)

    def _finish(self, job_id: str, state: str, problem: Json | None, ended: Ended | None) -> Json:
        with self.context.database.session() as session:
            jobs.finish(session, job_id, state, problem=problem)
            outcome = _outcome(jobs.get_job(session, job_id))
            if ended is not None:
                ended(session, outcome)
            return outcome

    def step(
        self,
        job_id: str,
        name: str,
        task: Step[P, R],
        params: Json,
        span: tuple[float, float],
    ) -> R:
        """Run one checkpointed step in a child process; `span` is its part of the job.

        Raises:
            NasError: what the task raised, in a first run and in a replay alike.
        """
        answer = durable.step(name, lambda: self._execute(job_id, name, task, params, span))
        if "error" in answer:
            raise from_dict(answer["error"])
        return task.result(answer["value"])

    def _execute(
        self,
        job_id: str,
        name: str,
        task: Step[P, R],
        params: Json,
        span: tuple[float, float],
    ) -> Json:
        def cancelled() -> bool:
            try:
                with self.context.database.session() as session:
                    return jobs.is_cancelled(session, job_id)
            except Unavailable:  # a database that is away for a moment cancels nothing
                return False

        settings = self.context.settings
        locks = locks_of(task.uses, settings, str(params.get("device_queue", "")))
        given = {
            "settings": settings.model_dump(mode="json"),
            "job_id": job_id,
            "executor": self.executor,
            "project_id": self.context.database.scope.project_id,
            "locks": locks,
        }
        progress = self._progress(job_id, span)

        def attempt() -> Json:
            waits = partial(progress, 0.0, "waiting for other work here to end")
            with held(locks, settings, cancelled, waits):
                retried(lambda: self._note(job_id, name, "started"))
                return child.run(
                    task, {**params, **given}, on_progress=progress, cancelled=cancelled
                )

        def again(error: Unavailable, pause_s: float) -> None:
            _log.warning("trying a step again", job=job_id, step=name, reason=error.detail)
            retried(lambda: self._note(job_id, name, "trying again"))
            with suppress(Unavailable):  # progress that cannot be stored is not missed
                progress(0.0, f"trying again in {pause_s:g} s: {error.detail}")
            _pause(pause_s, cancelled)

        try:
            with tracing.span(f"step {name}", job=job_id, executor=self.executor):
                value = attempted(attempt, again)
        except NasError as error:
            retried(lambda: self._note(job_id, name, "failed"))
            return {"error": error.as_dict()}
        retried(lambda: self._note(job_id, name, "finished"))
        return {"value": value}

    def _note(self, job_id: str, name: str, event: str) -> None:
        with self.context.database.session() as session:
            jobs.add_event(session, job_id, name, event, self.executor)

    def _progress(self, job_id: str, span: tuple[float, float]) -> child.Progress:
        """Stores progress, at most twice a second, for the job and for whoever waits for it."""
        last = 0.0

        def report(fraction: float, message: str) -> None:
            nonlocal last
            if time.monotonic() - last < _REPORT_EVERY_S and fraction < 1.0:
                return
            last = time.monotonic()
            inner = span[0] + (span[1] - span[0]) * fraction
            with self.context.database.session() as session:
                self.store_progress(session, job_id, inner, message)

        return report

    def store_progress(self, session: Any, job_id: str, fraction: float, message: str) -> None:
        """Note how far a job is, with an ETA from its pace so far, and pass it on upwards."""
        job = jobs.get_job(session, job_id)
        jobs.progress(
            session,
            job_id,
            fraction=round(fraction, 4),
            message=message,
            eta_s=_eta_s(job, fraction),
        )
        above = job.params.get("reports_to")
        if above:
            low, high = above["span"]
            self.store_progress(session, above["job"], low + (high - low) * fraction, message)


def _eta_s(job: jobs.Job, fraction: float) -> float | None:
    if job.started_at is None or fraction < 0.02:
        return None
    elapsed = time.time() - job.started_at.timestamp()
    return round(elapsed * (1.0 - fraction) / fraction, 1)


def retried(work: Callable[[], T]) -> T:
    """Do what needs the database, waiting up to five minutes for one that is away."""
    for pause_s in (0.5, 1, 2, 4, 8, 16, 32, 64, 128):
        try:
            return work()
        except Unavailable as error:
            _log.warning("waiting for the database", reason=error.detail)
            time.sleep(pause_s)
    return work()


def attempted(attempt: Callable[[], T], again: Callable[[Unavailable, float], None]) -> T:
    """Do what may lack a database, a store or room for a while: five times at most.

    `again` is told of what was lacking, and waits for so many seconds. Whatever else is raised is
    raised at once.
    """
    for pause_s in PAUSES_S:
        try:
            return _told(attempt)
        except Unavailable as error:
            again(error, pause_s)
    return _told(attempt)


def _told(attempt: Callable[[], T]) -> T:
    """Do it; a disk that has no room here, as for a lock, is told as one in a step's process is."""
    try:
        return attempt()
    except NasError:
        raise
    except Exception as error:
        if away := lacking(error):
            raise away from error
        raise


def _pause(pause_s: float, cancelled: Callable[[], bool]) -> None:
    """Wait; raises `Cancelled` where that is asked for meanwhile."""
    until = time.monotonic() + pause_s
    while time.monotonic() < until:
        if cancelled():
            raise Cancelled("cancelled while waiting to try again")
        time.sleep(min(_REPORT_EVERY_S, max(0.0, until - time.monotonic())))


def _outcome(job: jobs.Job) -> Json:
    return {"state": job.state, "problem": job.problem}


def succeeded(outcome: Json, what: str) -> None:
    """Raise what made a job below fail."""
    if outcome["state"] == "succeeded":
        return
    if outcome["state"] == "cancelled":
        raise Cancelled(f"{what} was cancelled")
    raise from_dict(outcome["problem"] or StepFailed(f"{what} failed").as_dict())
