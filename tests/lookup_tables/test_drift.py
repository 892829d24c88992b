import numpy as np
import pytest

from lookup_tables.drift import drift
from lookup_tables.errors import LookupTableError


def _alarms(shift: float, noise: float, n: int, runs: int = 400) -> float:
    generator = np.random.default_rng(5)
    then = np.exp(generator.normal(0, 1, (runs, n)))
    now = then * (1 + shift) * np.exp(noise * generator.standard_normal((runs, n)))
    return float(np.mean([drift(a, b).moved for a, b in zip(then, now, strict=True)]))


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03])
def test_a_shift_of_five_percent_is_found_and_none_is_invented(noise: float) -> None:
    assert _alarms(0.05, noise, 10) >= 0.95
    assert _alarms(-0.05, noise, 10) >= 0.95
    assert _alarms(0.0, noise, 10) <= 0.02


def test_the_shift_is_that_of_the_probes_whatever_one_of_them_does() -> None:
    then = np.linspace(1.0, 5.0, 9)
    now = 1.1 * then
    now[3] *= 2.0
    found = drift(then, now)
    assert found.moved
    assert found.shift == pytest.approx(0.1, abs=0.01)
    assert found.interval[0] < 0.1 < found.interval[1]


def test_a_certain_shift_that_nobody_would_act_on_is_none() -> None:
    then = np.linspace(1.0, 5.0, 10)
    assert not drift(then, 1.01 * then).moved


@pytest.mark.parametrize(
    ("then", "now", "says"),
    [
        (np.ones(3), np.ones(3), "at least 4"),
        (np.ones(5), np.ones(4), "latencies then"),
        (np.ones(5), np.array([1, 1, 1, 1, np.nan]), "latencies now"),
        (np.array([1, 1, 1, 0, 1.0]), np.ones(5), "latencies then"),
    ],
)
def test_probes_that_tell_nothing_are_refused(then: np.ndarray, now: np.ndarray, says: str) -> None:
    with pytest.raises(LookupTableError, match=says):
        drift(then, now)
