"""How well boxes are found: average precision by class, from which boxes meet true ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas_service.learning.detection.boxes import (
    Bools,
    Detections,
    Floats,
    Ints,
    average_precision,
    met,
)
from nas_service.learning.metric import Metric

LEVELS = np.arange(0.5, 0.96, 0.05)
"""Least overlaps of a box that is found: .5 for mAP50, all of them for mAP."""
_PARTS = 20


@dataclass(frozen=True)
class Boxes:
    """Boxes that were told of pictures, which of them are right, and how many there are.

    `hits` is `(levels, n, k)`, `true` counts boxes by picture and class `(n, classes)`.
    """

    told: Detections
    hits: Bools
    true: Ints

    @classmethod
    def of(cls, told: Detections, right: Detections, n_classes: int) -> Boxes:
        """What was told of each picture beside what is right."""
        true = np.stack([(right.classes == one).sum(axis=1) for one in range(n_classes)], axis=1)
        return cls(told, met(told, right, LEVELS), true)

    @property
    def n(self) -> int:
        """See `Judged.n`: pictures."""
        return len(self.true)

    @cached_property
    def map50(self) -> float:
        """Mean over classes of average precision at an overlap of .5."""
        return self._mean(self.hits[:1], np.ones(self.n, dtype=bool))

    @cached_property
    def map(self) -> float:
        """The same, and the mean over overlaps from .5 to .95."""
        return self._mean(self.hits, np.ones(self.n, dtype=bool))

    @property
    def map50_error(self) -> float:
        """Standard error of `map50`."""
        return self._error(lambda some: self._mean(self.hits[:1], some))

    @property
    def map_error(self) -> float:
        """Standard error of `map`."""
        return self._error(lambda some: self._mean(self.hits, some))

    def by_class(self, some: Bools | None = None, level: int = 0) -> Floats:
        """Average precision of each class, NaN of one that no picture has: `(classes,)`."""
        chosen = np.ones(self.n, dtype=bool) if some is None else some
        found = np.full(self.true.shape[1], np.nan)
        for one, total in enumerate(self.true[chosen].sum(axis=0).tolist()):
            if total:
                mine = (self.told.classes == one) & chosen[:, None]
                hits = self.hits[level][mine]
                found[one] = average_precision(self.told.scores[mine], hits, total)
        return found

    def recall(self, score: float) -> tuple[float, float]:
        """With a better score, the share of true boxes that are found, and of told ones right."""
        sure = (self.told.scores > score) & (self.told.classes >= 0)
        right = int((self.hits[0] & sure).sum())
        return right / max(1, int(self.true.sum())), right / max(1, int(sure.sum()))

    def _mean(self, hits: Bools, some: Bools) -> float:
        found = np.stack([self.by_class(some, level) for level in range(len(hits))])
        return float(np.nanmean(found)) if np.isfinite(found).any() else 0.0

    def _error(self, value: Callable[[Bools], float]) -> float:
        """Jackknife over groups of pictures, never below one box."""
        parts = min(_PARTS, self.n)
        if parts < 2:
            return 1.0
        numbers = np.arange(self.n) % parts
        without = [value(numbers != part) for part in range(parts)]
        spread = float(np.sqrt((parts - 1) * np.var(without)))
        return max(spread, 1.0 / max(2, int(self.true.sum())))


METRICS = (
    Metric("map50", "mAP50", lambda one: one.map50, lambda one: one.map50_error),
    Metric("map", "mAP", lambda one: one.map, lambda one: one.map_error),
)
