"""Metrics beside accuracy, by hand arithmetic and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from nas_service.learning.classification.classes import Classification


def test_a_model_that_names_the_common_class_alone_has_chance_in_balance() -> None:
    labels = np.array([0] * 200 + [1])
    found = Classification.of(labels, np.zeros(201, dtype=np.int64), 2)
    assert found.accuracy == pytest.approx(200 / 201)
    assert found.balanced_accuracy == pytest.approx(0.5)
    assert found.recall.tolist() == [1.0, 0.0]


def test_metrics_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels = generator.choice(5, 400, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    predicted = np.where(generator.random(400) < 0.7, labels, generator.integers(0, 5, 400))
    found = Classification.of(labels, predicted, 5)
    assert found.confusion.tolist() == confusion_matrix(labels, predicted).tolist()
    expected = balanced_accuracy_score(labels, predicted)
    assert found.balanced_accuracy == pytest.approx(expected)
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_a_class_that_was_never_asked_has_no_recall() -> None:
    found = Classification.of(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    told = found.as_dict(["a", "b", "c"])
    assert told["recall"] == {"a": 0.5, "b": 1.0, "c": None}
    assert told["balanced_accuracy"] == 0.75
    assert told["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
