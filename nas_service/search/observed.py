"""What a search observed: each batch adds itself, whatever was observed before it.

Everything that grows is kept in arrays that grow with it, and what a sampler or a predictor reads
of it is bounded: the front and what is near it, the first evaluations, the latest ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import optuna

from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.guided_sampler import distributions_of
from nas_service.search.pareto import hypervolume, ranks
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.genotypes import Genotypes

CHEAP = "low_fidelity_accuracy"
"""Under which an evaluation notes what it was worth at a first look."""
PLATEAU = 1e-3
"""A front that grew by less than this share has not grown."""
FIRST = 500
"""So many evaluations a predictor is fitted on from the beginning of what is known."""
NEAR = 500
"""So many, at most, that are on the front or next to it; samplers are shown them, too."""
LATEST = 500
"""So many of the latest ones."""


_GENERATION = ":generation"


class Observed:
    """The evaluations of one search, after architectures `(e, a)` that were known before it."""

    def __init__(
        self,
        problem: Problem,
        architectures: IntArray,
        accuracy: FloatArray,
        done: Sequence[Evaluation] = (),
    ) -> None:
        self._problem = problem
        self._distributions = distributions_of(problem.space.decisions)
        self._n_before = len(accuracy)
        self._architectures, self._accuracy = _Grown(architectures), _Grown(accuracy)
        self._cheap = _Grown(np.full(len(accuracy), np.nan))
        n_losses = 1 + len(problem.objectives)
        self._losses = _Grown(np.empty((0, n_losses)))
        self._excess = _Grown(np.empty(0))
        self._batches = _Grown(np.empty(0, dtype=np.int64))
        self._inside = _Grown(np.empty((0, len(problem.space.deployments)), dtype=np.bool_))
        self._shipped = _Grown(np.empty((0, len(problem.space.deployments), n_losses)))
        self._near = np.empty(0, dtype=np.int64)
        self._evaluations: list[Evaluation] = []
        self._trials: dict[int, optuna.trial.FrozenTrial] = {}
        self._left_out: dict[str, int] = {}
        self.known: dict[bytes, float] = {
            row.tobytes(): float(value) for row, value in zip(architectures, accuracy, strict=True)
        }
        self._keep(done)
        first = 0
        for n in _sizes(done):
            self._near = self._nearest(first, first + n)
            first += n

    def __len__(self) -> int:
        return len(self._evaluations)

    @property
    def evaluations(self) -> list[Evaluation]:
        """All of them, in order."""
        return self._evaluations

    @property
    def next_batch(self) -> int:
        """The number of the batch after the last one."""
        return 1 + max(self._batches.values[-1:].tolist(), default=-1)

    @property
    def architectures(self) -> IntArray:
        """All that is known, of this search and before it: `(n, a)`."""
        return np.asarray(self._architectures.values)

    @property
    def accuracy(self) -> FloatArray:
        """Of each `(n,)`."""
        return np.asarray(self._accuracy.values)

    @property
    def cheap(self) -> FloatArray:
        """What each was worth at a first look `(n,)`; NaN where it had none."""
        return np.asarray(self._cheap.values)

    @property
    def fitted(self) -> IntArray:
        """Which rows of what is known a predictor is fitted on, in order: all, while few.

        The first ones stay, so that what a predictor learned of them can be used again.
        """
        n = len(self.accuracy)
        if n <= FIRST + LATEST:
            return np.arange(n)
        parts = [np.arange(FIRST), self._n_before + self._near, np.arange(n - LATEST, n)]
        return np.unique(np.concatenate(parts))

    def add(self, batch: Sequence[Evaluation]) -> None:
        """Evaluations of one batch, in order."""
        first = len(self)
        self._keep(batch)
        self._near = self._nearest(first, len(self))

    def _keep(self, batch: Sequence[Evaluation]) -> None:
        if not batch:
            return
        rows = Genotypes.of(one.genotype for one in batch)
        accuracy = np.array([one.accuracy for one in batch])
        self._architectures.add(rows.architectures)
        self._accuracy.add(accuracy)
        self._cheap.add(
            np.array([one.attributes.get(CHEAP, np.nan) for one in batch], dtype=np.float64)
        )
        every = self._problem.space.in_every_deployment(rows.architectures)
        n_deployments = len(self._problem.space.deployments)
        losses = self._problem.losses(every, np.repeat(accuracy, n_deployments))
        excess = self._problem.excess(every)
        own = np.arange(len(rows)) * n_deployments + rows.deployments
        self._losses.add(losses[own])
        self._excess.add(excess[own])
        self._shipped.add(losses.reshape(len(rows), n_deployments, -1))
        self._inside.add((excess <= 0).reshape(len(rows), n_deployments))
        self._batches.add(np.array([one.batch for one in batch], dtype=np.int64))
        self._evaluations.extend(batch)
        for row, value in zip(rows.architectures, accuracy, strict=True):
            self.known[row.tobytes()] = float(value)

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """What a sampler is shown: all of this search while few, then the nearest and latest."""
        n = len(self)
        if n <= NEAR + LATEST:
            shown = list(range(n))
        else:
            shown = np.union1d(self._near, np.arange(n - LATEST, n)).tolist()
        self._trials = {one: self._trials.get(one) or self._frozen(one) for one in shown}
        self._left_out = _oldest_generations(self._evaluations[-LATEST:]) if n > len(shown) else {}
        return [self._moved(one) for one in self._trials.values()]

    def noted(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """What a sampler noted on a new trial, where it was shown the trials above."""
        return {
            key: value + self._left_out[key] if key in self._left_out else value
            for key, value in attributes.items()
        }

    def _moved(self, trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
        """The same with generations counted from the oldest that is shown of the latest ones.

        Optuna's genetic samplers go back through every generation to the first.
        """
        if not self._left_out:
            return trial
        moved = copy(trial)
        moved.system_attrs = {
            key: max(0, value - self._left_out[key]) if key in self._left_out else value
            for key, value in trial.system_attrs.items()
        }
        return moved

    def plateaued(self, patience: int) -> bool:
        """Whether the last `patience` batches left the front's hypervolume where it was.

        Measured in accuracy and logarithms of costs, against the worst of what was told.
        """
        early = self._batches.values <= self.next_batch - 1 - patience
        if not early.any():
            return False
        losses = self._losses.values.copy()
        losses[:, 1:] = np.log(np.maximum(losses[:, 1:], 1e-12))
        reference = losses.max(axis=0) + 1e-9
        feasible = self._excess.values <= 0
        now = hypervolume(losses[feasible], reference)
        then = hypervolume(losses[feasible & early], reference)
        return bool(then > 0 and now <= then * (1.0 + PLATEAU))

    def _nearest(self, first: int, end: int) -> IntArray:
        """What was near before, and what is within the limits from `first` to `end`, in order.

        Beyond `NEAR` of them the nearer half is left, front by front; an architecture is as near
        as its nearest deployment.
        """
        fresh = np.arange(first, end)
        near = np.concatenate([self._near, fresh[self._inside.values[first:end].any(axis=1)]])
        if len(near) <= NEAR:
            return near
        inside = self._inside.values[near]
        rank = np.full(inside.shape, len(near) * inside.shape[1])
        rank[inside] = ranks(self._shipped.values[near][inside])
        return np.sort(near[np.argsort(rank.min(axis=1), kind="stable")[: NEAR // 2]])

    def _frozen(self, place: int) -> optuna.trial.FrozenTrial:
        one = self._evaluations[place]
        names = [decision.name for decision in self._problem.space.decisions]
        costs = self._losses.values[place, 1:]
        return optuna.create_trial(
            params=dict(zip(names, one.genotype.as_list(), strict=True)),
            distributions=self._distributions,
            values=[one.accuracy, *map(float, costs)],
            system_attrs={k: v for k, v in one.attributes.items() if k != CHEAP},
            constraints={"limits": float(self._excess.values[place])},
        )


class _Grown:
    """An array that grows by rows in time that does not depend on how many there are."""

    def __init__(self, values: Any) -> None:
        self._held: Any = np.array(values)
        self._n = len(values)

    @property
    def values(self) -> Any:
        """The rows so far."""
        return self._held[: self._n]

    def add(self, rows: Any) -> None:
        """More of them."""
        n = self._n + len(rows)
        if n > len(self._held) or self._held.shape[1:] != rows.shape[1:]:
            held = np.empty((max(n, 2 * self._n), *rows.shape[1:]), dtype=self._held.dtype)
            held[: self._n] = self.values.reshape(-1, *rows.shape[1:])
            self._held = held
        self._held[self._n : n] = rows
        self._n = n


def _oldest_generations(latest: Sequence[Evaluation]) -> dict[str, int]:
    """By the names under which genetic samplers note them."""
    oldest: dict[str, int] = {}
    for one in latest:
        for key, value in one.attributes.items():
            if key.endswith(_GENERATION):
                oldest[key] = min(value, oldest.get(key, value))
    return oldest


def _sizes(done: Sequence[Evaluation]) -> list[int]:
    """How many evaluations each batch has, in order."""
    numbers = np.array([one.batch for one in done], dtype=np.int64)
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return [int(one) for one in np.diff(starts, append=len(numbers))]
