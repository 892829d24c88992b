"""Certificates under noise that nobody told the certifier of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nas_service.errors import InvalidSpec
from nas_service.search.certifier import Certifier


def _one(estimate: float = 1.0, spread: float = 0.05, limit: float = 1.0) -> Certifier:
    return Certifier(limit, np.array([0.9]), np.array([estimate]), spread)


def test_what_was_measured_far_below_the_limit_is_certified_and_far_above_is_not() -> None:
    for value, certified in ((0.8, True), (1.2, False)):
        one = _one()
        for noise in (0.99, 1.0, 1.01):
            one.add(0, value * noise)
        assert (one.best() == 0) == certified
        assert (one.probability_over(0) < 0.5) == certified


def test_one_measurement_never_certifies() -> None:
    one = _one(estimate=0.5, spread=0.01)
    one.add(0, 0.5)
    assert one.best() is None
    one.add(0, 0.5)
    assert one.best() == 0


def test_noisier_repeats_leave_more_doubt() -> None:
    doubts = []
    for size in (0.002, 0.02, 0.06):
        one = _one(estimate=0.97)
        for step in (-1.0, 0.0, 1.0):
            one.add(0, 0.96 * np.exp(size * step))
        doubts.append(one.probability_over(0))
    assert doubts[0] < doubts[1] < doubts[2]


def test_noise_is_learned_from_other_networks_too() -> None:
    def doubt(size: float) -> float:
        two = Certifier(1.0, np.array([0.9, 0.8]), np.array([0.97, 0.7]), 0.05)
        for step in (-1.5, -0.5, 0.5, 1.5):
            two.add(1, 0.7 * np.exp(size * step))
        two.add(0, 0.97)
        two.add(0, 0.97)
        return two.probability_over(0)

    assert doubt(0.08) > doubt(0.005)


def test_the_probability_is_that_of_bayes_rule() -> None:
    """A t prior times t likelihoods, integrated, averaged over sizes of the noise."""
    one = _one(estimate=1.02, spread=0.04)
    values = np.log([0.985, 0.99])
    for value in values:
        one.add(0, float(np.exp(value)))
    grid = np.linspace(-0.5, 0.5, 20_001)
    weights, over = [], []
    for size in np.geomspace(0.003, 0.15, 18):
        joint = stats.t.pdf(grid, 3, np.log(1.02), 0.04)
        for value in values:
            joint = joint * stats.t.pdf((value - grid) / size, 4) / size
        prior = np.exp(-0.5 * ((np.log(size) - np.log(0.025)) / 0.8) ** 2)
        weights.append(prior * joint.sum())
        over.append(joint[grid > 0].sum() / joint.sum())
    expected = np.average(over, weights=weights)
    assert one.probability_over(0) == pytest.approx(expected, rel=0.02)


def test_measurements_go_where_accuracy_and_chance_are_high() -> None:
    accuracy = np.array([0.99, 0.92, 0.90, 0.60])
    estimate = np.array([1.60, 0.90, 0.88, 0.30])  # the best is hopeless, the last a waste
    four = Certifier(1.0, accuracy, estimate, 0.05)
    assert four.next(10) in (1, 2)
    assert four.next(0) is None


def test_a_certified_network_is_improved_on_or_left_alone() -> None:
    two = Certifier(1.0, np.array([0.8, 0.7]), np.array([0.5, 0.4]), 0.05)
    for _ in range(3):
        two.add(0, 0.5)
    assert two.best() == 0
    assert two.next(5) is None  # the other is less accurate


def test_the_only_network_inside_is_measured_and_certified() -> None:
    one = _one(estimate=0.5)
    for left in (10, 9):
        assert one.next(left) == 0
        one.add(0, 0.5)
    assert one.best() == 0


def test_a_wrong_favourite_does_not_end_the_search() -> None:
    """The better one is thought to be inside and is not; the other one is."""
    two = Certifier(1.0, np.array([0.9, 0.8]), np.array([0.8, 0.7]), 0.05)
    truth = (1.3, 0.7)
    for left in range(10, 0, -1):
        row = two.next(left)
        if row is None:
            break
        two.add(row, truth[row])
    assert two.best() == 1


def test_a_network_far_from_the_limit_says_nothing_about_noise() -> None:
    doubts = []
    for far in (0.7, 0.2, 6.0):
        two = Certifier(1.0, np.array([0.9, 0.8]), np.array([0.93, far]), 0.05)
        for step in (-0.005, 0.005):
            two.add(0, 0.93 * np.exp(step))
            two.add(1, far * np.exp(step))
        doubts.append(two.probability_over(0))
    assert max(doubts) < 1.5 * min(doubts)


def test_estimates_that_saw_a_measurement_are_no_second_witness() -> None:
    one = _one(estimate=1.0)
    one.add(0, 0.97)
    before = one.probability_over(0)
    one.revise(np.array([0.97]), 0.01)
    assert one.probability_over(0) == before


@pytest.mark.parametrize("tails", [None, 3])
def test_limits_hold_in_simulation(tails: int | None) -> None:
    """120 devices, model errors of 6 % and noise of 1 to 5 %: about 1 % violations or fewer."""
    broken = certified = 0
    for seed in range(120):
        generator = np.random.default_rng([seed, tails or 0])
        truth = np.exp(generator.uniform(-0.5, 0.5, 300))
        estimate = truth * np.exp(0.06 * generator.standard_t(4, 300))
        accuracy = 0.6 + 0.1 * np.log(truth) + generator.normal(0, 0.01, 300)
        size = generator.choice([0.01, 0.03, 0.05])
        one = Certifier(1.0, accuracy, estimate, 0.06)
        for number in range(10):
            row = one.next(10 - number)
            if row is None:
                break
            drawn = generator.standard_t(tails) / 3**0.5 if tails else generator.normal()
            one.add(row, float(truth[row] * np.exp(size * drawn)))
        winner = one.best()
        if winner is not None:
            certified += 1
            broken += truth[winner] > 1.0
    assert certified >= 114
    assert broken <= 1 if tails is None else broken <= 2


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="a limit is a positive number, not 0"):
        _one(limit=0.0)
    with pytest.raises(InvalidSpec, match="measured nan"):
        _one().add(0, float("nan"))
    with pytest.raises(InvalidSpec, match="one a candidate"):
        Certifier(1.0, np.zeros(3), np.ones(2), 0.1)


@pytest.mark.parametrize("cost", [1e-4, 0.3, 0.97, 1.04, 3.0, 1e4])
def test_the_interval_is_around_what_was_measured_however_far_the_limit_is(cost: float) -> None:
    certifier = Certifier(1.0, np.ones(1), np.array([cost * 1.02]), 0.03)
    for value in (0.99, 1.0, 1.01, 1.0):
        certifier.add(0, cost * value)
    low, high = certifier.interval(0, 0.9)
    assert low < certifier.mean(0) < high
    assert high / low < 1.1
    over = certifier.probability_over(0)
    assert over == pytest.approx(float(cost > 1.0), abs=0.02)
