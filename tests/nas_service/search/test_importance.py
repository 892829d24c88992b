"""Which decisions matter, beside arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nas_service.search.importance import main_effects, means_by_value


def test_shares_of_a_sum_of_two_decisions_are_those_of_its_variance() -> None:
    """All of {0,1}x{0,1,2}, f = 4a + b: variances 4 and 2/3 of 14/3."""
    rows = np.array([[a, b] for a in range(2) for b in range(3)])
    values = 4.0 * rows[:, 0] + rows[:, 1]
    assert main_effects(rows, values) == pytest.approx([4 / (14 / 3), (2 / 3) / (14 / 3)])


def test_what_two_decisions_do_together_is_in_neither() -> None:
    rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert main_effects(rows, np.array([0.0, 1.0, 1.0, 0.0])) == pytest.approx([0.0, 0.0])


def test_nothing_matters_to_what_does_not_vary() -> None:
    rows = np.zeros((4, 3), dtype=np.int64)
    assert main_effects(rows, np.ones(4)) == pytest.approx([0.0, 0.0, 0.0])
    assert main_effects(np.empty((0, 2), dtype=np.int64), np.empty(0)) == pytest.approx([0.0, 0.0])


def test_means_are_of_the_candidates_that_have_a_value() -> None:
    counts, means = means_by_value(np.array([0, 2, 2]), np.array([1.0, 3.0, 5.0]))
    assert counts.tolist() == [1, 0, 2]
    assert means[[0, 2]].tolist() == [1.0, 4.0]
    assert np.isnan(means[1])
