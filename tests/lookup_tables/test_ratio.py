"""Ratios of measured to estimated, by hand and by simulation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookup_tables import files
from lookup_tables.errors import InvalidTable, LookupTableError
from lookup_tables.ratio import Ratio, fit_ratio
from tests.lookup_tables.tables import small_table


def test_the_geometric_mean_and_errors_of_those_left_out() -> None:
    # measured over estimated: 1, 2, 4, 2, 2; the mean is 2, without the first it is 32 ** (1 / 4)
    fitted = fit_ratio(np.full(5, 10.0), np.array([10.0, 20.0, 40.0, 20.0, 20.0]))
    assert fitted.ratio == pytest.approx(2.0)
    assert fitted.relative_errors[0] == pytest.approx(32**0.25 - 1.0, abs=1e-6)
    assert fitted.relative_errors[1] == pytest.approx(0.0)
    assert fitted.relative_errors[2] == pytest.approx(8**0.25 / 4.0 - 1.0, abs=1e-6)


def test_few_networks_and_values_that_are_none_are_refused() -> None:
    with pytest.raises(LookupTableError, match="at least 5 measured networks, got 4"):
        fit_ratio(np.ones(4), np.ones(4))
    with pytest.raises(LookupTableError, match="positive and finite"):
        fit_ratio(np.ones(5), np.array([1.0, 1.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_bounds_hold_as_often_as_they_say(noise: float) -> None:
    """Of 4,000 fits on 12 networks: a further one is below its bound in 95 of 100 cases."""
    generator = np.random.default_rng(7)
    inside = 0
    for _ in range(4000):
        truth = 1.3 * np.exp(noise * generator.standard_normal(13))
        fitted = fit_ratio(np.ones(12), truth[:12])
        inside += truth[12] <= fitted.ratio * fitted.upper_factor(0.95)
    assert 0.94 <= inside / 4000 <= 0.98


def test_a_table_keeps_its_ratios_and_one_without_any_its_version(tmp_path: Path) -> None:
    plain = small_table()
    table = replace(plain, ratios={"energy_mj": Ratio(1.25, (0.1, 0.0, -0.1, 0.05, 0.02))})
    files.write(table, tmp_path / "t.jsonl")
    again = files.read(tmp_path / "t.jsonl")
    assert again.ratios == table.ratios
    assert again.version == table.version != plain.version
    assert "ratios" not in plain.as_dict()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ('"ratio": 1.25', '"ratio": -1.0'),
        ('"ratio": 1.25', '"ratios": 1.25'),
        ("0.1, 0.0, -0.1, ", ""),
    ],
)
def test_a_bad_ratio_is_named(given: str, named: str) -> None:
    table = replace(small_table(), ratios={"energy_mj": Ratio(1.25, (0.1, 0.0, -0.1, 0.05, 0.02))})
    text = files.dump(table)
    assert given in text
    with pytest.raises(InvalidTable, match=r"row 1: ratios\.energy_mj"):
        files.parse(text.replace(given, named, 1))
