"""Numbers that 32-bit floats, 64 apart at 1e9, do not tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from nas_service.errors import InvalidData
from nas_service.learning.single_precision import Rounding, require_float32

_WAVE = np.sin(np.linspace(0.0, 20.0, 4_000)).reshape(100, 1, 40)


@pytest.mark.parametrize("offset", [0.0, 1_000.0, -1_000.0])
def test_what_floats_tell_apart_is_taken(offset: float) -> None:
    require_float32(offset + _WAVE, "x")


@pytest.mark.parametrize("offset", [1e9, -1e9, 1e6])
def test_a_signal_on_a_large_offset_is_refused_by_channel(offset: float) -> None:
    """At 1e6 floats are 1/16 apart: of steps of 1/16 a wave of 1 loses 2.5 % of its deviation."""
    x = np.concatenate([_WAVE, offset + _WAVE], axis=1)
    with pytest.raises(InvalidData, match=r"x: channel 1 has numbers around -?1e\+0[69]"):
        require_float32(x, "x")


def test_a_channel_is_judged_over_all_that_is_added() -> None:
    """A recording that stands still may differ by little where others do not."""
    generator = np.random.default_rng(0)
    rounding = Rounding()
    for deviation in (1e-2, 1e-6):
        wide = 139.69 + deviation * generator.normal(size=500)
        rounding.add(wide, wide.astype(np.float32))
    rounding.require_little("lon", "lon")
    alone = Rounding()
    alone.add(wide, wide.astype(np.float32))
    with pytest.raises(
        InvalidData, match=r"run: column 'lon' has numbers around 139\.7"
    ) as refused:
        alone.require_little("run: column 'lon'", "lon")
    assert refused.value.fields["field"] == "lon"


def test_whole_numbers_on_a_large_offset_are_refused() -> None:
    counts = 2**40 + np.arange(100, dtype=np.int64)[:, None]
    with pytest.raises(InvalidData, match=r"channel 0 has numbers around 1\.1e"):
        require_float32(counts, "x")


def test_the_rounding_of_longer_floats_is_no_signal() -> None:
    same = np.where(np.arange(80) % 2, 0.3, 0.1 + 0.2).reshape(10, 1, 8)
    assert np.unique(same).size == 2
    require_float32(same, "x")


def test_a_constant_and_what_is_not_finite_are_for_others_to_refuse() -> None:
    same = np.full((10, 1, 4), 1e9 + 1.0)
    require_float32(same, "x")
    wrong = 1e9 + _WAVE.reshape(1000, 1, 4)
    wrong[3, 0, 2] = np.nan
    require_float32(wrong, "x")


def test_small_types_and_32_bit_floats_are_what_they_were() -> None:
    require_float32((1e9 + _WAVE).astype(np.float32), "x")
    require_float32(np.arange(-300, 300, dtype=np.int16).reshape(150, 4), "x")
