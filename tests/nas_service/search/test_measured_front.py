"""The measured front, by hand arithmetic on 400 test images."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nas_service.search.measured_front import with_front


def _row(
    rank: int,
    accuracy: float,
    latency_ms: float,
    *,
    precision: str = "fp32",
    size_bytes: int | None = 1000,
    published: bool = True,
) -> dict[str, Any]:
    return {
        "rank": rank,
        "precision": precision,
        "measured_accuracy": accuracy,
        "measured_accuracy_standard_error": (accuracy * (1 - accuracy) / 400) ** 0.5,
        "measured_latency_ms": latency_ms,
        "measured_size_bytes": size_bytes,
        "published": published,
    }


def test_a_slower_file_is_on_the_front_where_it_is_surely_more_accurate() -> None:
    # the standard error of the difference near .9 is .021: .92 is not surely more than .90
    rows = [_row(0, 0.92, 0.3), _row(1, 0.90, 0.2), _row(2, 0.85, 0.1), _row(3, 0.95, 0.4)]
    found = with_front(rows, ["latency_ms"])
    assert [row["on_front"] for row in found] == [False, True, True, True]
    assert found[0]["outdone_by"] == {"rank": 1, "precision": "fp32"}
    assert found[3]["outdone_by"] is None


def test_files_that_were_not_published_are_no_part_of_it() -> None:
    rows = [_row(0, 0.9, 0.1, published=False), _row(1, 0.9, 0.2)]
    found = with_front(rows, ["latency_ms"])
    assert [row["on_front"] for row in found] == [None, True]


def test_a_file_that_is_smaller_stays_where_size_is_an_objective_too() -> None:
    rows = [_row(0, 0.9, 0.1, size_bytes=900), _row(0, 0.9, 0.2, precision="int8", size_bytes=300)]
    assert [row["on_front"] for row in with_front(rows, ["latency_ms"])] == [True, False]
    both = with_front(rows, ["latency_ms", "size_bytes"])
    assert [row["on_front"] for row in both] == [True, True]


def test_a_cost_that_nobody_measured_lets_nothing_be_outdone() -> None:
    rows = [_row(0, 0.9, 0.1), _row(1, 0.9, 0.2)]
    found = with_front(rows, ["latency_ms@phone"])
    assert [row["on_front"] for row in found] == [True, True]


@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 10.0)),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
def test_files_on_a_front_of_one_cost_differ_by_more_than_their_standard_errors(
    values: list[tuple[float, float]],
) -> None:
    rows = [_row(rank, accuracy, ms) for rank, (accuracy, ms) in enumerate(values)]
    found = with_front(rows, ["latency_ms"])
    front = sorted((one for one in found if one["on_front"]), key=lambda one: one["rank"])
    for one in front:
        for other in front:
            if one is other:
                continue
            error = (
                one["measured_accuracy_standard_error"] ** 2
                + other["measured_accuracy_standard_error"] ** 2
            ) ** 0.5
            assert abs(one["measured_accuracy"] - other["measured_accuracy"]) > error
    for one in found:
        assert one["on_front"] or one["outdone_by"]["rank"] in {other["rank"] for other in front}
