"""Metrics and how sure they are, against scikit-learn and against repeated test parts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from nas_service.errors import InvalidSpec
from nas_service.learning.classification.classes import Classification
from nas_service.learning.classification.metrics import unequal
from nas_service.learning.registry import learning_task

TASK = learning_task("image_classification")
METRICS = {one.name: one for one in TASK.metrics}
SIZES = (300, 80, 20)
CONFUSED = np.array([[0.9, 0.07, 0.03], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
"""How often each class is named, by the true one."""


def _test_part(generator: np.random.Generator) -> Classification:
    drawn = [generator.multinomial(n, row) for n, row in zip(SIZES, CONFUSED, strict=True)]
    return Classification(np.array(drawn, dtype=np.int64))


def test_values_are_those_of_scikit_learn() -> None:
    one = _test_part(np.random.default_rng(0))
    labels = np.repeat(np.repeat(np.arange(3), 3), one.confusion.ravel())
    named = np.repeat(np.tile(np.arange(3), 3), one.confusion.ravel())
    expected = {
        "accuracy": float((labels == named).mean()),
        "balanced_accuracy": balanced_accuracy_score(labels, named),
        "macro_f1": f1_score(labels, named, average="macro"),
    }
    assert {name: metric.value(one) for name, metric in METRICS.items()} == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_standard_error_is_the_spread_over_test_parts(name: str) -> None:
    metric, generator = METRICS[name], np.random.default_rng(1)
    parts = [_test_part(generator) for _ in range(2000)]
    spread = float(np.std([metric.value(one) for one in parts]))
    told = float(np.mean([metric.standard_error(one) for one in parts[:100]]))
    # accuracy's takes every image as drawn from one heap, classes apart spread a little less
    assert told == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_test_part_without_a_mistake_is_no_proof(name: str) -> None:
    flawless = Classification(np.diag(np.array([50, 4], dtype=np.int64)))
    assert METRICS[name].value(flawless) == 1.0
    assert METRICS[name].standard_error(flawless) > 0.01


def test_a_mean_over_classes_is_as_uncertain_as_its_smallest_class() -> None:
    counts = {"a": 1000, "b": 10}
    # two classes squared, by a thousandth and a tenth together

    def alike(metric: str, counts: dict[str, int] | None, n: int) -> int:
        facts = {"report": {"counts": {"test": counts}}}
        return TASK.effective_samples(METRICS[metric], facts, n)

    assert alike("balanced_accuracy", counts, 1010) == 39
    assert alike("accuracy", counts, 1010) == 1010
    assert alike("macro_f1", {"a": 50, "b": 50}, 100) == 100
    assert alike("macro_f1", None, 70) == 70


def test_classes_are_unequal_from_ten_to_one() -> None:
    assert unequal({"a": 100, "b": 10}) == (100, 10)
    assert unequal({"a": 99, "b": 10, "none of it": 0}) is None
    assert unequal({}) is None


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidSpec, match="known: accuracy, balanced_accuracy, macro_f1"):
        TASK.metric("f1")
