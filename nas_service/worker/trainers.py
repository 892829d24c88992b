"""Trainers outside the service: offer them architectures, wait for what they report."""

from __future__ import annotations

import time

import numpy as np

from nas_service.engine.child import Progress
from nas_service.errors import StepFailed
from nas_service.space.base import FloatArray, IntArray
from nas_service.storage import trials
from nas_service.storage.session import Database

_LOOK_EVERY_S = 1.0


class Trainers:
    """Those of one search; `done` is the share of the search that is behind it."""

    def __init__(self, database: Database, search_id: str, report: Progress) -> None:
        self._database = database
        self._search_id = search_id
        self._report = report
        self.done = 0.0

    def ask(self, genotypes: IntArray, fidelity: float) -> FloatArray:
        """Scores `(n,)` of genotypes `(n, d)`: comes back when all are there, however long.

        Raises:
            StepFailed: one of them failed with every trainer that took it.
        """
        rows = [list(map(int, row)) for row in genotypes]
        with self._database.session() as session:
            keys = [trials.offer(session, self._search_id, row, fidelity) for row in rows]
        said = ""
        while True:
            with self._database.session() as session:
                trials.give_up(session, self._search_id)
                found = trials.by_key(session, self._search_id, keys)
            failed = [one for one in found.values() if one.state == "failed"]
            if failed:
                raise StepFailed(f"trial {failed[0].id} failed: {failed[0].problem}")
            left = [one for one in found.values() if one.score is None]
            if not left:
                return np.array([found[key].score for key in keys], dtype=np.float64)
            taken = sum(one.state == "leased" for one in left)
            message = f"{len(left)} architectures wait for trainers, {taken} are being trained"
            if message != said:
                self._report(self.done, message)
                said = message
            time.sleep(_LOOK_EVERY_S)
