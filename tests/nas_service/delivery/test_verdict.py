"""What is published, decided by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas_service.delivery.measured import Measured
from nas_service.delivery.verdict import Terms, judge
from nas_service.recorded.parity import Parity

SAME = Parity(max_abs=0.1, sqnr_db=20.0, agreement=0.98, ok=True)
OTHER = replace(SAME, ok=False, why="column 3 varied")
FP32 = Measured("fp32", 0.90, {"latency_ms": 1.0, "size_bytes": 1000.0}, stable=True, same=SAME)
INT8 = Measured("int8", 0.895, {"latency_ms": 0.6, "size_bytes": 300.0}, stable=True, same=SAME)
ONE_POINT = Terms(max_loss=0.01)


def but(one: Measured, **measurements: float | None) -> Measured:
    """The same file with other measurements; None is for what was not measured."""
    values = {**one.measurements, **measurements}
    return replace(one, measurements={k: v for k, v in values.items() if v is not None})


def decide(made: Measured, original: Measured, terms: Terms) -> tuple[bool, str]:
    verdict = judge(made, original, terms)
    assert verdict.limit_holds is None  # there is none
    return verdict.published, verdict.reason


def test_smaller_faster_and_within_its_loss_is_published() -> None:
    assert decide(INT8, FP32, ONE_POINT) == (True, "")


@pytest.mark.parametrize(
    ("made", "original", "named"),
    [
        (
            replace(INT8, same=replace(SAME, ok=False, why="column 3 varied")),
            FP32,
            "column 3 varied",
        ),
        (replace(INT8, accuracy=0.88), FP32, "loses 2.0 points of accuracy, more than 1.0"),
        (but(INT8, latency_ms=1.2), FP32, "slower than fp32 as measured: 1.2 ms"),
        (but(INT8, latency_ms=None), FP32, "not measured"),
        (replace(INT8, stable=False), FP32, "not measured stably"),
        (INT8, replace(FP32, stable=False), "not measured stably"),
        (replace(FP32, accuracy=0.95), FP32, "not smaller than fp32, and as fast"),
        (replace(INT8, sha256="a" * 64), replace(FP32, sha256="a" * 64), "the same file"),
    ],
)
def test_everything_else_is_refused_with_its_reason(
    made: Measured, original: Measured, named: str
) -> None:
    published, reason = decide(made, original, ONE_POINT)
    assert not published
    assert named in reason


def test_a_loss_of_exactly_what_is_allowed_is_allowed() -> None:
    assert decide(replace(INT8, accuracy=0.89), FP32, ONE_POINT)[0]


@pytest.mark.parametrize(("least", "published"), [(1.66, True), (1.67, False)])
def test_pruned_macs_have_to_pay(least: float, published: bool) -> None:
    """.6 ms of 1 ms are 1.667 times as fast."""
    told, why = decide(INT8, FP32, Terms(0.01, least))
    assert told == published
    assert published or "1.67 times as fast as measured, less than the 1.67" in why


def test_a_difference_within_the_measuring_interval_is_none() -> None:
    """1 % either way with 1 % of error: neither faster nor slower, so only size may count."""
    noisy = replace(FP32, latency_error=0.01)
    slower = replace(but(INT8, latency_ms=1.01), latency_error=0.01)
    assert decide(slower, noisy, ONE_POINT)[0]
    as_large = but(slower, latency_ms=0.99, size_bytes=FP32.size_bytes)
    published, why = decide(as_large, noisy, ONE_POINT)
    assert not published
    assert "as fast within what was measured" in why
    assert not decide(but(slower, latency_ms=1.04), noisy, ONE_POINT)[0]
