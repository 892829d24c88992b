"""The reference state, found among readings whose law is known."""

import numpy as np
import pytest

from lookup_tables.errors import LookupTableError
from lookup_tables.measuring.reference import TOLERANCE, WIDEST, Reference, find_reference

NAMES = ("compute", "memory")


def _readings(states: list[tuple[float, int]], jitter: float = 0.005) -> np.ndarray:
    """Logs of readings in ms: stays of so many readings at so many times the fastest level."""
    generator = np.random.default_rng(0)
    factors = np.concatenate([np.full(n, factor) for factor, n in states])
    logs = np.log(np.outer(factors, [1.0, 2.0]))
    return np.asarray(logs + jitter * generator.standard_normal(logs.shape))


def _found(logs: np.ndarray) -> Reference:
    return find_reference(NAMES, logs, np.full(len(logs), 0.01))


def test_the_most_common_state_is_taken_not_the_fastest() -> None:
    found = _found(_readings([(1.0, 100), (1.8, 300)] * 24))
    assert found.levels_ms == pytest.approx({"compute": 1.8, "memory": 3.6}, rel=0.01)
    assert found.share == pytest.approx(0.75, abs=0.02)
    assert found.rival_share == pytest.approx(0.25, abs=0.02)
    assert found.rival_shift == pytest.approx(1 / 1.8 - 1, abs=0.02)
    assert found.visits == 24
    assert found.watched_s == pytest.approx(0.01 * 9600, rel=0.01)
    assert found.doubt == ""


def test_readings_count_by_the_time_they_stand_for() -> None:
    logs = _readings([(1.0, 300), (1.5, 100)] * 10)
    seconds = np.where(np.arange(len(logs)) % 400 < 300, 0.01, 0.09)
    found = find_reference(NAMES, logs, seconds)
    assert found.levels_ms["compute"] == pytest.approx(1.5, rel=0.01)
    assert found.share == pytest.approx(0.75, abs=0.02)


def test_a_diffuse_slow_time_is_no_state() -> None:
    generator = np.random.default_rng(1)
    slow = [(float(factor), 10) for factor in generator.uniform(1.3, 3.0, 60)]
    stays = [one for pair in zip([(1.0, 10)] * 60, slow, strict=True) for one in pair]
    found = _found(_readings(stays))
    assert found.levels_ms["compute"] == pytest.approx(1.0, rel=0.01)


def test_one_long_stay_may_hide_others_and_says_so() -> None:
    found = _found(_readings([(1.0, 500)]))
    assert "seen in one state" in found.doubt
    long = find_reference(NAMES, _readings([(1.0, 500)]), np.full(500, 1.0))
    assert long.doubt == ""


def test_few_stays_say_little_of_how_long_others_last() -> None:
    """A lead that twenty stays would settle, after two: both machines spend half in each state."""
    assert "another state" in _found(_readings([(1.3, 900), (1.5, 40), (1.3, 900)])).doubt
    assert "another state" in _found(_readings([(1.0, 500), (1.6, 40)] * 4)).doubt
    assert _found(_readings([(1.0, 500), (1.6, 40)] * 20)).doubt == ""


def test_hiccups_make_no_second_state() -> None:
    found = _found(_readings([(1.0, 2000), (1.1, 5), (1.0, 2000)]))
    assert "seen in one state" in found.doubt


def test_two_states_alike_often_are_told() -> None:
    found = _found(_readings([(1.0, 105), (1.4, 100)] * 4))
    assert "another state" in found.doubt
    assert "about as common" in found.doubt


def test_an_anchor_that_jitters_by_itself_has_a_wider_tolerance() -> None:
    logs = _readings([(1.0, 400)])
    logs[:, 1] += 0.04 * np.random.default_rng(2).standard_normal(400)
    found = _found(logs)
    assert found.tolerances["compute"] == TOLERANCE
    assert TOLERANCE < found.tolerances["memory"] <= WIDEST


def test_a_machine_without_a_clean_state_has_a_wider_one() -> None:
    generator = np.random.default_rng(3)
    stays = [(float(f), 10) for f in np.exp(generator.uniform(0.0, np.log(9.0), 200))]
    found = _found(_readings(stays))
    assert TOLERANCE < found.tolerances["compute"] <= 2.0 * TOLERANCE
    assert found.share > 0.05


def test_a_reading_is_held_against_every_anchor() -> None:
    found = Reference({"a": 1.0, "b": 2.0}, {"a": 0.06, "b": 0.1}, 1.0, 1, 1.0)
    assert found.holds({"a": 1.05, "b": 2.15})
    assert not found.holds({"a": 1.07, "b": 2.0})
    assert not found.holds({"a": 0.93, "b": 2.0})
    assert found.shift({"a": 1.21, "b": 2.0}) == pytest.approx(0.1)


def test_what_is_stored_is_read_back_and_checked() -> None:
    found = _found(_readings([(1.0, 100)]))
    assert Reference.from_dict(found.as_dict()) == found
    for wrong in ({"levels_ms": {"a": -1.0}}, {"tolerances": {}}, {"nonsense": 1}):
        with pytest.raises(LookupTableError, match="reference state"):
            Reference.from_dict({**found.as_dict(), **wrong})
