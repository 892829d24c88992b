"""What a latency limit is held against: the reference state, all that is observed, or load."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from lookup_tables.calibrate import Calibration
from lookup_tables.measuring.timing import Timing
from lookup_tables.roofline import Peaks, Roofline
from lookup_tables.target import Deployment, Target
from nas_service.compilation.benchmark import PROTOCOL, limited, protocol_for
from nas_service.errors import InvalidSpec
from nas_service.search.cost import CostModel
from nas_service.space.genotypes import Genotype
from nas_service.space.mbconv import MbconvSpace
from nas_service.worker.tasks.candidate_work import CandidateWork
from nas_service.worker.tasks.tables import _held

TIMING = Timing(
    0.9, 1.0, 1.1, 1.2, 0.1, 80, True, "2026-01-01", observed_p50_ms=1.3, observed_p90_ms=1.9
)


def test_each_kind_of_limit_reads_its_own_figure() -> None:
    assert limited(TIMING, "reference") == 1.0
    assert limited(TIMING, "observed") == 1.9
    assert limited(TIMING, "sustained") == 1.0  # measured under load by its protocol
    assert limited(replace(TIMING, observed_p90_ms=None), "observed") == 1.0


def test_each_kind_of_limit_has_a_protocol() -> None:
    assert protocol_for("reference", 120.0) == PROTOCOL
    assert protocol_for("observed", 120.0).least_s > 5.0
    assert protocol_for("sustained", 90.0).sustained_s == 90.0


def _cost(mbconv: MbconvSpace) -> CostModel:
    table = Roofline(Target("d", "roofline", "1", "fp32"), Peaks(1e10, 1e10))
    calibration = Calibration(1.0, 0.0, 0.0, 0.0, "p50", (0.01,) * 6)
    return CostModel(mbconv, table, calibration)


def _table(provenance: dict[str, Any]) -> Any:
    return cast(Any, SimpleNamespace(version="t1", provenance=provenance))


def test_estimates_are_of_what_the_limit_is_held_against(mbconv: MbconvSpace) -> None:
    cost, rows = _cost(mbconv), mbconv.smallest()[None, :]
    table = _table({"steadiness": {"observed_p90_over_p50": 1.5}})
    assert _held((cost,), [table], "reference") == (cost,)
    (held,) = _held((cost,), [table], "observed")
    assert held.latency_ms(rows) == pytest.approx(1.5 * cost.latency_ms(rows))
    assert held.calibration is not None
    assert held.calibration.statistic == "observed p90"
    assert np.isfinite(held.upper_factor(0.95))


def test_a_table_that_does_not_tell_what_was_observed_is_refused(mbconv: MbconvSpace) -> None:
    with pytest.raises(InvalidSpec, match="does not tell what was observed"):
        _held((_cost(mbconv),), [_table({})], "observed")


@pytest.mark.parametrize("limit_on", ["observed", "sustained"])
def test_tables_learn_nothing_of_what_was_not_measured_in_the_reference_state(
    limit_on: str,
) -> None:
    """Their networks' latencies are p50 in the reference state; others would be other figures."""
    search = SimpleNamespace(value=SimpleNamespace(limit_on=limit_on))
    nothing: Any = None
    work = CandidateWork(nothing, cast(Any, search), nothing, [], nothing, Path())
    work.seen = {Deployment.parse("fp32"): {Genotype((0,), 0): [9.0]}}
    work.revise(nothing, [])
    assert work.revised == {}
