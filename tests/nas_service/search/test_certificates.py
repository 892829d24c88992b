"""What a certificate says of a file that was never seen in its machine's reference state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas_service.delivery.measured import Measured
from nas_service.delivery.verdict import OF_SEARCHES, judge
from nas_service.recorded.parity import Parity
from nas_service.search.certificate import (
    CERTIFIED,
    UNDECIDED,
    certificate_of,
    far_below,
    settled,
)
from nas_service.search.certifier import Certifier

MEASURED = Measured(
    precision="fp32",
    accuracy=0.9,
    n_test=100,
    accuracy_standard_error=0.03,
    measurements={"latency_ms": 0.3, "size_bytes": 1000.0},
    stable=False,
    same=Parity(max_abs=0.0, sqnr_db=200.0, agreement=1.0, ok=True),
)


def _never_measured(limit_ms: float) -> Certifier:
    return Certifier(limit_ms, np.array([0.9]), np.array([0.2]), 0.05)


def test_a_limit_far_above_every_turn_is_certified_and_the_bound_is_told() -> None:
    certifier, bounds = _never_measured(1.0), [0.3, 0.5, 0.4]
    found = certificate_of(certifier, 0, 0.95, 0.2, 0.05, at_most=bounds)
    assert found.verdict == CERTIFIED
    assert found.at_most == 0.5
    assert found.measured is None
    assert settled(certifier, [0], {0: bounds})
    verdict = judge(MEASURED, MEASURED, OF_SEARCHES, {"latency_ms": found})
    assert verdict.published
    assert verdict.limit_holds


@pytest.mark.parametrize("bounds", [[0.3, 0.51, 0.4], [0.3, 0.4], [0.3, 0.4, None]])
def test_a_limit_that_is_nearer_or_seldom_looked_at_stays_undecided(
    bounds: list[float | None],
) -> None:
    certifier = _never_measured(1.0)
    found = certificate_of(certifier, 0, 0.95, 0.2, 0.05, at_most=bounds)
    assert found.verdict == UNDECIDED
    assert not settled(certifier, [0], {0: bounds})


def test_what_was_measured_in_the_reference_state_counts_before_any_bound() -> None:
    certifier = _never_measured(1.0)
    for value in (1.2, 1.21, 1.19):
        certifier.add(0, value)
    found = certificate_of(certifier, 0, 0.95, 0.2, 0.05, at_most=[0.1, 0.1, 0.1])
    assert found.measured == pytest.approx(1.2, rel=0.01)
    assert found.at_most is None
    assert found.verdict != CERTIFIED


def test_an_int8_file_that_is_only_bounded_is_not_called_faster() -> None:
    found = certificate_of(_never_measured(1.0), 0, 0.95, 0.2, 0.05, at_most=[0.1] * 3)
    steady = replace(MEASURED, stable=True, measurements={"latency_ms": 0.4})
    verdict = judge(replace(MEASURED, precision="int8"), steady, OF_SEARCHES, {"latency_ms": found})
    assert not verdict.published
    assert verdict.limit_holds
    assert "int8 was not measured stably" in verdict.reason


def test_no_sessions_bound_nothing() -> None:
    assert far_below(1.0, []) is None


def test_too_few_sessions_in_the_reference_state_are_helped_by_the_others() -> None:
    certifier = _never_measured(1.0)
    certifier.add(0, 0.2)
    found = certificate_of(certifier, 0, 0.95, 0.2, 0.05, at_most=[0.3, 0.21, 0.3])
    assert found.verdict == CERTIFIED
    assert found.at_most == 0.3
    assert found.measured == pytest.approx(0.2, rel=0.01)
    near = certificate_of(certifier, 0, 0.95, 0.2, 0.05, at_most=[0.3, 0.21, 0.6])
    assert near.verdict == UNDECIDED
