"""Helps with searches that other workers run, while nothing here needs the machine.

A search offers each batch of its evaluations (`nas_service.worker.spread`). A worker that trains
and whose machine is free takes part, in a process of its own, and leaves at once when anything on
the machine waits for it: what it had taken is given back.
"""

from __future__ import annotations

import threading
import time

from nas_service.engine import child
from nas_service.errors import Cancelled, NasError
from nas_service.jobs.params import HelpJob
from nas_service.storage import trials
from nas_service.storage.scope import SERVICE, Scope
from nas_service.telemetry import logger
from nas_service.worker import step_functions
from nas_service.worker.context import Context
from nas_service.worker.locks import Uses, all_of, held, wanted

_log = logger(__name__)
LOOK_EVERY_S = 2.0
AGAIN_S = 60.0
"""So long after it failed to help with a search a worker does not try again."""


class Helper:
    """Looks for evaluations that wait, in a thread of its own."""

    def __init__(self, context: Context, executor: str) -> None:
        self._context = context
        self._executor = executor
        self._not_before: dict[str, float] = {}
        # computing, on whatever networks are trained on here
        self._locks = all_of((Uses.PROCESSOR, Uses.TRAINING), context.settings)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="helper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and give back what was taken."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _keep(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            try:
                self.look()
            except NasError as error:
                _log.warning("not helping", reason=error.detail)
            except Exception as error:  # noqa: BLE001  # the thread has to outlive any outage
                _log.warning("not helping", reason=str(error))

    def look(self) -> bool:
        """Help with the search that has waited longest, if this machine is free; says if it did.

        One that could not be helped from here is left alone for a while.
        """
        if wanted(self._locks, self._context.settings):
            return False
        with self._context.database.of(SERVICE).session() as session:
            waiting = trials.wanted(session)
        at = time.monotonic()
        for search_id, scope in waiting:
            if self._not_before.get(search_id, 0.0) > at:
                continue
            self._not_before[search_id] = at + AGAIN_S
            helped = self._help(search_id, scope)
            self._not_before.pop(search_id)  # nothing was raised
            return helped
        return False

    def _help(self, search_id: str, scope: Scope) -> bool:
        settings = self._context.settings
        task, locks = step_functions.help_search, self._locks
        params = HelpJob(search_id=search_id, name=self._executor).as_dict()
        given = {
            "settings": settings.model_dump(mode="json"),
            "job_id": f"help-{self._executor}",
            "executor": self._executor,
            "project_id": scope.project_id,
            "locks": locks,
        }
        try:
            with held(locks, settings, cancelled=lambda: True):  # now or not at all
                _log.info("helping", search=search_id)
                child.run(
                    task,
                    {**params, **given},
                    on_progress=lambda *_: None,
                    cancelled=lambda: self._ended.is_set() or wanted(locks, settings),
                )
        except Cancelled:
            self._give_back(search_id, scope)
            return False
        finally:
            self._context.tidy(f"help-{self._executor}")
        return True

    def _give_back(self, search_id: str, scope: Scope) -> None:
        with self._context.database.of(scope).session() as session:
            trials.release(session, search_id, self._executor)
