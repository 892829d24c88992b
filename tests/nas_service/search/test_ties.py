"""Winners that a test part cannot tell apart, by hand arithmetic."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from nas_service.learning.classification.metrics import share_error
from nas_service.learning.registry import learning_task
from nas_service.search.candidates import Candidate, ParetoFront
from nas_service.search.spec import FP32_AND_INT8
from nas_service.search.ties import tied, verdict, with_ties
from nas_service.search.values import Estimate
from nas_service.search.winners import choose, resolution
from nas_service.space.genotypes import Genotype

TASK = learning_task()
RESOLUTION = partial(resolution, share_error, 400)


def _row(rank: int, accuracy: float | None, precision: str = "fp32") -> dict[str, Any]:
    error = None if accuracy is None else (accuracy * (1 - accuracy) / 400) ** 0.5
    return {
        "rank": rank,
        "precision": precision,
        "measured_accuracy": accuracy,
        "measured_accuracy_standard_error": error,
    }


def test_two_accuracies_are_tied_within_the_standard_error_of_their_difference() -> None:
    # sqrt(.9 * .1 / 400) is .015; of the difference .0212
    assert RESOLUTION(0.9) == pytest.approx(0.0212, abs=1e-4)
    assert tied(_row(0, 0.9), _row(1, 0.88))
    assert not tied(_row(0, 0.9), _row(1, 0.87))


def test_ties_are_within_a_precision_and_between_what_was_measured() -> None:
    rows = [_row(0, 0.9), _row(1, 0.89), _row(2, 0.8), _row(3, None), _row(0, 0.8, "int8")]
    assert [row["tied_with"] for row in with_ties(rows)] == [[1], [0], [], [], []]


def test_a_test_part_that_tells_nothing_apart_says_so() -> None:
    every = verdict(with_ties([_row(0, 0.9), _row(1, 0.89)]), 400, TASK)
    assert every["n_tied"] == 2
    assert every["text"] == (
        "400 test images tell accuracies apart that differ by 2.2 points; 2 of 2 winners are ties "
        "with another one: a larger test part is needed to choose between them"
    )
    none = verdict(with_ties([_row(0, 0.9), _row(1, 0.8)]), 400, TASK)
    assert none["n_tied"] == none["n_front"] == 0
    on_front = [{**_row(0, 0.9), "on_front": True}, {**_row(1, 0.8), "on_front": True}]
    assert "on the measured front: 2" in verdict(with_ties(on_front), 400, TASK)["text"]
    assert "larger test part" not in none["text"]
    assert verdict([_row(0, None)], 400, TASK)["text"] == ""


def _front(accuracies: list[float]) -> ParetoFront:
    members = tuple(
        Candidate(
            genotype=Genotype((number,), 0),
            architecture={},
            deployment=FP32_AND_INT8[0],
            target="t",
            predicted_accuracy=accuracy,
            predicted_accuracy_std=0.01,
            estimates={"latency_ms": Estimate(0.1 * (number + 1), 0.1 * (number + 1))},
            objectives={"latency_ms": 0.1 * (number + 1)},
            keeps_limits=True,
        )
        for number, accuracy in enumerate(accuracies)
    )
    return ParetoFront(members, 0.0, 10.0)


def test_winners_differ_by_what_the_test_part_can_tell_where_the_front_allows_it() -> None:
    # a step in the front: without a test part the three at .90 come before .80 and .84
    front = _front([0.80, 0.84, 0.895, 0.90, 0.905])
    chosen = [one.predicted_accuracy for one in choose(front, 3, resolution=RESOLUTION)]
    assert chosen[0] == 0.905
    pairs = [(a, b) for a in chosen for b in chosen if a > b]
    assert all(a - b > RESOLUTION(a) for a, b in pairs)


def test_where_the_front_has_no_others_ties_are_taken() -> None:
    chosen = choose(_front([0.90, 0.905, 0.91]), 3, resolution=RESOLUTION)
    assert len(chosen) == 3
    assert len({one.genotype for one in chosen}) == 3
    assert np.ptp([one.predicted_accuracy for one in chosen]) == pytest.approx(0.01)


def test_unequal_classes_are_told_with_balanced_accuracy() -> None:
    told = {"balanced_accuracy": 0.5, "confusion": [[200, 0], [1, 0]]}
    rows = with_ties([{**_row(0, 0.99), "classification": told}])
    assert "unequal (200 to 1 images)" in verdict(rows, 201, TASK)["text"]
    equal = {"balanced_accuracy": 0.9, "confusion": [[90, 10], [10, 90]]}
    rows = with_ties([{**_row(0, 0.9), "classification": equal}])
    assert "unequal" not in verdict(rows, 200, TASK)["text"]
