"""What a search maximises: accuracy, or what says more where classes are unequal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.training.classification import Classification

UNEQUAL = 10.0
"""Classes this many times as large as others make accuracy say little."""
_RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Metric:
    """A number in [0, 1] of how well classes are told apart; higher is better.

    `standard_error` is that of `value` over test parts of the same size; never 0, since a part on
    which nothing went wrong does not say that nothing can. `images_alike` says whether an image
    counts as much as any other, or a class as much as any other.
    """

    name: str
    label: str
    value: Callable[[Classification], float]
    standard_error: Callable[[Classification], float]
    images_alike: bool = False


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


METRICS: Mapping[str, Metric] = {
    one.name: one
    for one in (
        Metric("accuracy", "accuracy", lambda one: one.accuracy, _accuracy_error, True),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            lambda one: one.balanced_accuracy,
            _balanced_error,
        ),
        Metric("macro_f1", "macro F1", lambda one: one.macro_f1, _f1_error),
    )
}


def metric_of(name: str) -> Metric:
    """The metric of that name.

    Raises:
        InvalidSpec: there is none; the known ones are listed.
    """
    if name not in METRICS:
        raise InvalidSpec(
            f"no metric {name!r}; known: {', '.join(METRICS)}",
            field="metric",
            known_names=list(METRICS),
        )
    return METRICS[name]


def effective_images(metric: str, counts: Mapping[str, int] | None, n: int) -> int:
    """As how many images of equal classes a part tells a metric apart.

    `counts` are its images a class, None where unknown; `n` those of all. Accuracy counts each
    image alike. A mean over classes is as uncertain as its smallest ones make it: with n_c images
    a class it is that of C^2 / sum(1 / n_c) images of equal classes.
    """
    asked = [one for one in (counts or {}).values() if one]
    if METRICS[metric].images_alike or not asked:
        return n
    return max(1, math.floor(len(asked) ** 2 / sum(1.0 / one for one in asked)))


def hopeless(metric: Metric, reached: Classification) -> bool:
    """Whether a network is no better than always naming the commonest class.

    By accuracy, within two standard errors of that class's share; a mean over classes is the same
    for such a guess whatever their shares are, so a network has to be above it, and no more.
    """
    asked = reached.confusion.sum(axis=1)
    guesses = np.zeros_like(reached.confusion)
    guesses[:, asked.argmax()] = asked
    guess = metric.value(Classification(guesses))
    slack = math.sqrt(guess * (1.0 - guess) / asked.sum()) if metric.images_alike else 0.0
    return metric.value(reached) <= guess + 2.0 * slack


def unequal(counts: Mapping[str, int]) -> tuple[int, int] | None:
    """The most and fewest images a class, where accuracy says little because of them."""
    asked = [one for one in counts.values() if one]
    if not asked or max(asked) < UNEQUAL * min(asked):
        return None
    return max(asked), min(asked)
