"""A batch of evaluations shared among workers: each takes one after the other under a lease.

Whoever runs the search offers the batch, takes part in it, and waits for what others have taken. A
worker that vanishes loses its lease, and what it had is taken by another. Results are read in the
order in which they were offered: who evaluated what changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from nas_service.errors import Conflict, NasError, StepFailed, Unavailable
from nas_service.search.accuracy import AccuracyEvaluator
from nas_service.space.base import FloatArray, IntArray
from nas_service.storage import trials
from nas_service.storage.session import Database
from nas_service.storage.trials import Trial
from nas_service.telemetry import logger

_log = logger(__name__)
_LOOK_EVERY_S = 0.1


def spreads(evaluator: AccuracyEvaluator) -> bool:
    """Whether its evaluations take long enough, one by one, to be shared among workers."""
    return bool(getattr(evaluator, "spreads", False))


class Evaluating:
    """Takes evaluations of one search and reports them, under the name of who does."""

    def __init__(
        self,
        database: Database,
        search_id: str,
        evaluator: AccuracyEvaluator,
        *,
        name: str,
        seed: int,
        lease_s: float,
    ) -> None:
        self._database = database
        self._search_id = search_id
        self._evaluator = evaluator
        self._name = name
        self._seed = seed
        self._lease_s = lease_s

    def one(self) -> bool:
        """Evaluate what waits longest; False where nothing waits.

        Raises:
            Exception: the evaluation failed; it is offered again, a few times.
        """
        with self._database.session() as session:
            trial = trials.take(session, self._search_id, self._name, self._lease_s)
        if trial is None:
            return False
        genotype = np.array([trial.genotype], dtype=np.int64)
        try:
            with self._kept(trial):
                (score,) = self._evaluator.evaluate(
                    genotype, fidelity=trial.fidelity, seed=self._seed
                )
            _require_number(score)
        except (Unavailable, OSError, MemoryError):  # something is lacking here, not in the network
            self.give_back()
            raise
        except Exception as error:
            detail = error.detail if isinstance(error, NasError) else f"{error!r}"
            self._report(trial, lambda s: trials.fail(s, trial, trial.lease or "", detail))
            raise
        self._report(trial, lambda s: trials.complete(s, trial, trial.lease or "", float(score)))
        return True

    def give_back(self) -> None:
        """What is leased under this name waits again, as if never taken."""
        with self._database.session() as session:
            trials.release(session, self._search_id, self._name)

    def _report(self, trial: Trial, write: Callable[..., None]) -> None:
        try:
            with self._database.session() as session:
                write(session)
        except Conflict:  # it stood still past its lease: another one has it, with the same result
            _log.warning("an evaluation was taken over", trial=trial.id)

    @contextmanager
    def _kept(self, trial: Trial) -> Iterator[None]:
        """Prolong the lease for as long as it takes, in a thread of its own."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(self._lease_s / 3):
                try:
                    with self._database.session() as session:
                        trials.keep(session, trial, trial.lease or "", 0.0, self._lease_s)
                except Unavailable as error:
                    _log.warning("lease not prolonged", trial=trial.id, reason=error.detail)

        thread = threading.Thread(target=keep, name="evaluation-keeper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _require_number(score: float) -> None:
    if not np.isfinite(score):
        raise StepFailed(f"an evaluation gave {score}")


class Spread:
    """An `AccuracyEvaluator` that shares each batch with the other workers, where there are any."""

    def __init__(
        self,
        evaluator: AccuracyEvaluator,
        database: Database,
        search_id: str,
        *,
        lease_s: float,
        others: Callable[[], bool],
        trains: Callable[[], bool] = lambda: True,
    ) -> None:
        """`others` train now; this worker `trains`, or does so only while there are none."""
        self._evaluator = evaluator
        self._database = database
        self._search_id = search_id
        self._lease_s = lease_s
        self._others = others
        self._trains = trains

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`.

        Raises:
            StepFailed: one failed with every worker that took it.
        """
        if (len(genotypes) < 2 and self._trains()) or not self._others():
            return self._evaluator.evaluate(genotypes, fidelity=fidelity, seed=seed)
        rows = [list(map(int, row)) for row in genotypes]
        with self._database.session() as session:
            keys = [
                trials.offer(session, self._search_id, row, fidelity, by_workers=True)
                for row in rows
            ]
        own = Evaluating(
            self._database,
            self._search_id,
            self._evaluator,
            name="the search's own worker",
            seed=seed,
            lease_s=self._lease_s,
        )
        own.give_back()  # of a process that was killed: nobody else has this name
        while True:
            if self._trains() or not self._others():
                while own.one():
                    pass
            with self._database.session() as session:
                trials.give_up(session, self._search_id)
                found = trials.by_key(session, self._search_id, keys)
            failed = [one for one in found.values() if one.state == "failed"]
            if failed:
                raise StepFailed(f"evaluation {failed[0].id} failed: {failed[0].problem}")
            scores = [found[key].score for key in keys]
            if all(score is not None for score in scores):
                break
            time.sleep(_LOOK_EVERY_S)
        with self._database.session() as session:
            trials.forget(session, self._search_id, keys)
        return np.array(scores, dtype=np.float64)
