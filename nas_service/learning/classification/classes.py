"""How well classes are told apart beside accuracy, which says little where classes are unequal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
MOST_CLASSES_SHOWN = 50
"""A confusion matrix of more classes is no longer looked at, and large."""


@dataclass(frozen=True, slots=True)
class Classification:
    """Counts of pictures by true class (row) and predicted one (column): `(classes, classes)`."""

    confusion: IntArray

    @classmethod
    def of(cls, labels: IntArray, predicted: IntArray, n_classes: int) -> Classification:
        """Of true and predicted class numbers, `(n,)` each."""
        pairs = labels * n_classes + predicted
        counts = np.bincount(pairs, minlength=n_classes * n_classes)
        return cls(counts.reshape(n_classes, n_classes))

    @property
    def n(self) -> int:
        """Pictures that were judged."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of pictures that are told right."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """The share told right of each class, `(classes,)`; NaN where none was asked."""
        asked = self.confusion.sum(axis=1)
        right = np.diag(self.confusion)
        return np.where(asked > 0, right / np.maximum(asked, 1), np.nan)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that were asked."""
        return float(np.nanmean(self.recall))

    @property
    def macro_f1(self) -> float:
        """The mean over classes of 2 right / (asked + named), for classes asked or named."""
        asked, named = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        both = asked + named
        scores = 2.0 * np.diag(self.confusion) / np.maximum(both, 1)
        return float(scores[both > 0].mean())

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Plain JSON values; the matrix where the classes are few enough to be looked at."""
        recall = {
            name: None if np.isnan(value) else round(float(value), 6)
            for name, value in zip(classes, self.recall, strict=True)
        }
        few = len(classes) <= MOST_CLASSES_SHOWN
        return {
            "accuracy": round(self.accuracy, 6),
            "balanced_accuracy": round(self.balanced_accuracy, 6),
            "macro_f1": round(self.macro_f1, 6),
            "recall": recall,
            "confusion": self.confusion.tolist() if few else None,
        }
