"""A new target from few measured networks: additive devices of known law."""

from __future__ import annotations

import numpy as np
import pytest

from lookup_tables.errors import LookupTableError
from lookup_tables.transfer import Known, transfer

N = 600


def _world(seed: int, n_devices: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of four operators, latency on known devices, and on a new one: all additive."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 5, (N, 4)).astype(float)
    costs = np.exp(generator.normal([0.0, 0.5, 1.5, -1.0], 0.4, (n_devices + 1, 4)))
    latency = 1.0 + counts @ costs.T
    return counts, latency[:, :-1], latency[:, -1]


def _known(counts: np.ndarray, references: np.ndarray) -> Known:
    hardware = [f"board{i}" for i in range(references.shape[1])]
    return Known({"operators": counts}, references, hardware)


def test_ten_networks_price_an_additive_device() -> None:
    counts, references, new = _world(1)
    measured = np.arange(10)
    found = transfer(_known(counts, references), measured, new[measured])
    assert np.median(np.abs(found.latency / new - 1.0)) < 0.01
    assert not found.doubtful
    assert sum(found.weights.values()) == pytest.approx(1.0)


def test_without_references_the_operators_alone_do() -> None:
    counts, _, new = _world(2)
    known = Known({"operators": counts}, np.empty((N, 0)))
    measured = np.arange(10)
    found = transfer(known, measured, new[measured])
    assert np.median(np.abs(found.latency / new - 1.0)) < 0.02
    assert set(found.weights) == {"operators"}


def test_one_measurement_that_is_far_off_changes_little() -> None:
    counts, references, new = _world(3)
    measured = np.arange(20)
    wrong = new[measured].copy()
    wrong[7] *= 3.0
    found = transfer(_known(counts, references), measured, wrong)
    assert np.median(np.abs(found.latency / new - 1.0)) < 0.03
    assert abs(found.left_out[7]) > 0.4


def test_the_features_that_fit_are_believed() -> None:
    counts, references, new = _world(4)
    noise = np.random.default_rng(0).permuted(counts, axis=0)
    known = Known({"right": counts, "wrong": noise}, references, [f"b{i}" for i in range(6)])
    measured = np.arange(20)
    weights = transfer(known, measured, new[measured]).weights
    assert weights["right"] + weights["right and references"] > 0.9


def test_a_device_that_no_feature_explains_is_doubtful() -> None:
    counts, references, _ = _world(5)
    new = np.exp(np.random.default_rng(1).normal(0, 0.5, N))
    measured = np.arange(10)
    found = transfer(_known(counts, references), measured, new[measured])
    assert found.doubtful


def test_when_all_are_measured_nothing_is_left_to_judge_by() -> None:
    counts, references, new = _world(10)
    known = Known({"operators": counts[:12]}, references[:12], list("abcdef"))
    found = transfer(known, np.arange(12), new[:12])
    assert np.isfinite(found.latency).all()
    assert np.allclose(found.latency, new[:12], rtol=0.05)


def test_units_do_not_matter() -> None:
    counts, references, new = _world(6)
    measured = np.arange(12)
    first = transfer(_known(counts, references), measured, new[measured])
    scaled = transfer(_known(counts, references * 1e-3), measured, new[measured] * 1e6)
    assert np.allclose(scaled.latency, first.latency * 1e6, rtol=1e-6)


def test_intervals_are_infinite_until_the_level_can_be_promised() -> None:
    counts, references, new = _world(7)
    for k, finite in ((10, True), (8, False)):
        measured = np.arange(k)
        found = transfer(_known(counts, references), measured, new[measured])
        assert np.isfinite(found.interval(0.9)[:, 1]).all() == finite
    assert not np.isfinite(found.interval(0.95)).all()


@pytest.mark.parametrize(
    ("measured", "latency", "message"),
    [
        (np.arange(3), np.ones(3), "at least 5 measured networks, got 3"),
        (np.array([0, 1, 2, 3, 3]), np.ones(5), "given twice"),
        (np.array([0, 1, 2, 3, 9999]), np.ones(5), "rows 0 to 599"),
        (np.arange(5), np.array([1, 1, np.nan, 1, 1]), "row 2: latency nan"),
        (np.arange(5), np.array([1, 1, 1, -2.0, 1]), "row 3: latency -2.0"),
    ],
)
def test_bad_measurements_are_named(
    measured: np.ndarray, latency: np.ndarray, message: str
) -> None:
    counts, references, _ = _world(8)
    with pytest.raises(LookupTableError, match=message):
        transfer(_known(counts, references), measured, latency)


def test_what_is_known_has_to_fit_together() -> None:
    counts, references, _ = _world(9)
    with pytest.raises(LookupTableError, match="599 rows for 600"):
        Known({"operators": counts[1:]}, references, ["a"] * 6)
    with pytest.raises(LookupTableError, match="hardware of 2"):
        Known({"operators": counts}, references, ["a"] * 2)
    references[5, 2] = 0.0
    with pytest.raises(LookupTableError, match="not a positive number"):
        Known({"operators": counts}, references, ["a"] * 6)
