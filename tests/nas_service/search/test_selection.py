"""Choosing among candidates: against loops, hand arithmetic and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.search.candidate_set import CandidateSet
from nas_service.search.selection import Columns, best, knee, steps, thinned
from nas_service.space.base import Decision

DECISIONS = (Decision("width", (16, 24)), Decision("se", (False, True), ordered=False))


def _set(score: list[float], latency: list[float], feasible: list[bool]) -> CandidateSet:
    n = len(score)
    return CandidateSet(
        architectures=np.array([[i % 2, i // 2 % 2] for i in range(n)]).reshape(n, 2),
        deployments=np.arange(n) % 3,
        values={"score": np.array(score), "latency_ms": np.array(latency)},
        uppers={"latency_ms": 1.1 * np.array(latency)},
        score_std=np.full(n, 0.01),
        keeps_limits=np.array(feasible, dtype=bool),
        on_front=np.zeros(n, dtype=bool),
    )


FIVE = _set([0.5, 0.9, 0.8, 0.9, 0.7], [1.0, 4.0, 2.0, 3.0, 2.5], [True, True, True, True, False])
COLUMNS = Columns(FIVE, DECISIONS, ("fp32", "int8", "fp16"))


@pytest.mark.parametrize(
    ("conditions", "rows"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["latency_ms<=2.5"], [0, 2, 4]),
        (["latency_ms < 2.5"], [0, 2]),
        (["upper.latency_ms>3"], [1, 3]),
        (["score>=0.8", "latency_ms<4"], [2, 3]),
        (["score=0.9"], [1, 3]),
        (["score!=0.9"], [0, 2, 4]),
        (["precision=int8"], [1, 4]),
        (["precision!=fp32"], [1, 2, 4]),
        (["width=24"], [1, 3]),
        (["keeps_limits=True", "score<0.9"], [0, 2]),
        (["se=True", "width=16"], [2]),
    ],
)
def test_conditions_leave_the_rows_that_meet_them(conditions: list[str], rows: list[int]) -> None:
    assert np.flatnonzero(COLUMNS.matching(conditions)).tolist() == rows


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("latency_ms", "no condition"),
        ("speed<=3", "no 'speed'; known: score, latency_ms, upper.latency_ms"),
        ("latency_ms<=fast", "'fast' of latency_ms is no number"),
        ("precision<int8", "compared by = or !="),
        ("precision=int3", "never 'int3'; known: fp32, int8, fp16"),
        ("width=20", "never '20'; known: 16, 24"),
    ],
)
def test_a_condition_that_cannot_be_says_what_can(condition: str, named: str) -> None:
    with pytest.raises(InvalidSpec, match=named.replace("(", r"\(")):
        COLUMNS.matching([condition])


def test_rows_are_ordered_by_a_column_and_ties_stay() -> None:
    rows = np.arange(5)
    assert COLUMNS.ordered(rows, "latency_ms").tolist() == [0, 2, 4, 3, 1]
    assert COLUMNS.ordered(rows, "-score").tolist() == [1, 3, 2, 4, 0]
    assert COLUMNS.ordered(rows, "-index").tolist() == [4, 3, 2, 1, 0]
    with pytest.raises(InvalidSpec):
        COLUMNS.ordered(rows, "speed")


def test_the_best_is_the_fastest_of_the_most_accurate_that_keep_limits() -> None:
    assert best(FIVE, np.ones(5, dtype=bool)) == 3
    assert best(FIVE, COLUMNS.matching(["latency_ms<=2"])) == 2
    assert best(FIVE, COLUMNS.matching(["latency_ms<1"])) is None
    assert best(FIVE, np.arange(5) == 4) is None  # it keeps no limit


@given(st.integers(0, 3000), st.integers(1, 300), st.integers(0, 9))
def test_a_thinned_cloud_stands_for_every_point(n: int, most: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.lognormal(size=n), generator.normal(size=n)
    always = generator.random(n) < 0.01
    rows, counts = thinned(x, y, always, most)
    assert len(rows) <= most + always.sum()
    assert set(np.flatnonzero(always)) <= set(rows.tolist())
    assert len(set(rows.tolist())) == len(rows)
    kept_besides = int(np.isin(rows, np.flatnonzero(always)).sum())
    assert n <= counts.sum() <= n + kept_besides


def test_a_cloud_that_is_small_is_shown_whole() -> None:
    rows, counts = thinned(np.ones(7), np.ones(7), np.zeros(7, dtype=bool), 7)
    assert rows.tolist() == list(range(7))
    assert counts.tolist() == [1] * 7
    rows, counts = thinned(np.ones(70), np.ones(70), np.zeros(70, dtype=bool), 7)
    assert (rows.tolist(), counts.tolist()) == ([0], [70])


def test_the_knee_is_where_a_curve_bends() -> None:
    # score rises by 1 up to cost 8 = 2^3 and hardly after: the chord in log cost is below there
    cost = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    score = np.array([0.0, 1.0, 2.0, 3.0, 3.1, 3.2, 3.3])
    assert knee(cost, score) == 3
    assert knee(cost, np.log(cost)) is None  # a straight line has none
    assert knee(cost[:2], score[:2]) is None


def test_steps_say_what_more_cost_buys() -> None:
    rows = np.array([7, 3, 9, 5])
    found = steps(rows, np.array([2.0, 1.0, 4.0, 2.5]), np.array([0.6, 0.5, 0.9, 0.55]))
    assert [(one.row, one.next_row) for one in found] == [(3, 7), (7, 9)]
    assert found[0].score_per_cost == pytest.approx(0.1 / 1.0)
    assert found[1].score_per_cost == pytest.approx(0.3 / 2.0)


def test_a_file_of_candidates_is_read_as_it_was_written_and_nothing_else_is() -> None:
    content = FIVE.dump()
    assert content == FIVE.dump()
    again = CandidateSet.parse(content)
    assert again.dump() == content
    assert again.values["latency_ms"].tolist() == [1.0, 4.0, 2.0, 3.0, 2.5]
    for broken in (b"", b"x" * 100, content[:-40]):
        with pytest.raises(InvalidData):
            CandidateSet.parse(broken)
