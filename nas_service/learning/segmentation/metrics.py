"""How well masks are met, from counts of pixels by true class and predicted one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nas_service.learning.base import Array
from nas_service.learning.metric import Metric

IGNORED = 255
"""The number of pixels in masks that nobody asks about."""
_PARTS = 20

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Masks:
    """Pixels by true class (row) and predicted one (column) of each picture: `(n, k, k)`."""

    confusion: Counts

    @classmethod
    def of(cls, predicted: Array, masks: Array, n_classes: int) -> Masks:
        """Of class numbers `(n, side, side)` each; pixels that are `IGNORED` do not count."""
        found = np.zeros((len(masks), n_classes, n_classes), dtype=np.int64)
        for number, (guess, mask) in enumerate(zip(predicted, masks, strict=True)):
            asked = mask != IGNORED
            pairs = mask[asked].astype(np.int64) * n_classes + guess[asked].astype(np.int64)
            counts = np.bincount(pairs, minlength=n_classes**2)
            found[number] = counts.reshape(n_classes, n_classes)
        return cls(found)

    @property
    def n(self) -> int:
        """See `Judged.n`: pictures."""
        return len(self.confusion)

    @cached_property
    def total(self) -> Counts:
        """Of all pictures together `(k, k)`."""
        counts: Counts = self.confusion.sum(axis=0)
        return counts

    @property
    def miou(self) -> float:
        """Mean over classes of intersection over union; see `iou_of`."""
        return mean_iou(self.total)

    @property
    def pixel_accuracy(self) -> float:
        """The share of pixels that are told right."""
        return pixels_right(self.total)

    @property
    def miou_error(self) -> float:
        """Standard error of `miou`."""
        return self._error(mean_iou)

    @property
    def pixel_error(self) -> float:
        """Standard error of `pixel_accuracy`."""
        return self._error(pixels_right)

    def _error(self, value: Callable[[Counts], float]) -> float:
        """Jackknife over groups of pictures, never below one picture in `n`."""
        parts = min(_PARTS, self.n)
        if parts < 2:
            return 1.0
        without = [
            value(self.total - self.confusion[part::parts].sum(axis=0)) for part in range(parts)
        ]
        spread = np.sqrt((parts - 1) * np.var(without))
        return float(max(spread, 1.0 / (self.n * self.confusion.shape[1])))


def iou_of(confusion: Counts) -> npt.NDArray[np.float64]:
    """Intersection over union of each class `(k,)`; NaN of one that is nowhere, told or true."""
    right = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    return np.where(union > 0, right / np.maximum(union, 1), np.nan)


def mean_iou(confusion: Counts) -> float:
    """The mean over classes that are somewhere, told or true; 0 without any."""
    found = iou_of(confusion)
    return float(np.nanmean(found)) if np.isfinite(found).any() else 0.0


def pixels_right(confusion: Counts) -> float:
    """The share on the diagonal."""
    return float(np.trace(confusion) / max(int(confusion.sum()), 1))


METRICS = (
    Metric("miou", "mIoU", lambda one: one.miou, lambda one: one.miou_error),
    Metric(
        "pixel_accuracy",
        "pixel accuracy",
        lambda one: one.pixel_accuracy,
        lambda one: one.pixel_error,
    ),
)
