"""What a search may maximise: accuracy, or what says more where classes are unequal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas_service.learning.classification.classes import Classification
from nas_service.learning.metric import Metric

UNEQUAL = 10.0
"""Classes this many times as large as others make accuracy say little."""
_RESAMPLES = 400


def share_error(share: float, n: int) -> float:
    """Standard error of a share of `n` images, never below that of one error in `n`."""
    spread = max(share * (1.0 - share), (1.0 / n) * (1.0 - 1.0 / n))
    return float((spread / n) ** 0.5)


def _accuracy_error(one: Classification) -> float:
    return share_error(one.accuracy, int(one.confusion.sum()))


def _balanced_error(one: Classification) -> float:
    """Of a mean of independent recalls, each drawn towards a half by one picture either way.

    The recall of a class with a handful of pictures, all right, is known to no better than that
    (Agresti and Coull, 1998).
    """
    asked = one.confusion.sum(axis=1)
    right = np.diag(one.confusion)[asked > 0]
    asked = asked[asked > 0]
    share = (right + 1.0) / (asked + 2.0)
    return float(np.sqrt((share * (1.0 - share) / (asked + 2.0)).sum()) / len(asked))


def _f1_error(one: Classification) -> float:
    """By resampling pictures within each class (Efron, 1979); not below that of the accuracy."""
    generator = np.random.default_rng(0)
    asked = one.confusion.sum(axis=1)
    drawn = np.stack(
        [
            generator.multinomial(n, row / n, size=_RESAMPLES)
            if n
            else np.zeros((_RESAMPLES, len(row)), dtype=np.int64)
            for row, n in zip(one.confusion, asked, strict=True)
        ],
        axis=1,
    )
    scores = [Classification(each).macro_f1 for each in drawn]
    return max(float(np.std(scores)), _accuracy_error(one))


METRICS: Sequence[Metric] = (
    Metric(
        "accuracy",
        "accuracy",
        lambda one: one.accuracy,
        _accuracy_error,
        expected_error=share_error,
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        lambda one: one.balanced_accuracy,
        _balanced_error,
    ),
    Metric("macro_f1", "macro F1", lambda one: one.macro_f1, _f1_error),
)
"""What tells an image as much as any other has an error that is known beforehand; means over
classes have not."""


def unequal(counts: Mapping[str, int]) -> tuple[int, int] | None:
    """The most and fewest images a class, where accuracy says little because of them."""
    asked = [one for one in counts.values() if one]
    if not asked or max(asked) < UNEQUAL * min(asked):
        return None
    return max(asked), min(asked)
