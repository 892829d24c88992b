"""Tables from outside: each thing that cannot be is named with its row, and all of them at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lookup_tables.blocks.convolution import ConvBlock
from lookup_tables.calibrate import Calibration
from lookup_tables.errors import InvalidTable
from lookup_tables.plausible import require_plausible
from lookup_tables.table import MEASURED, Entry, LookupTable
from tests.lookup_tables.tables import small_table

SOUND = Calibration(0.9, -0.001, 0.0, 0.01, "p50", (0.02, -0.01, 0.03))


def _with(row: int = 0, **changes: Any) -> LookupTable:
    table = small_table()
    entries = list(table.entries)
    entries[row] = replace(entries[row], **changes)
    return replace(table, entries=tuple(entries))


def _problems(table: LookupTable) -> str:
    with pytest.raises(InvalidTable) as caught:
        require_plausible(table)
    return "; ".join(caught.value.problems)


def test_a_sound_table_is_taken() -> None:
    require_plausible(small_table())
    require_plausible(replace(small_table(), calibration=SOUND))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"p10_ms": 0.5}, "row 2: p10_ms: 0.5 is above p50_ms, 0.02"),
        ({"p50_ms": 0.3, "p99_ms": 0.2}, "row 2: p50_ms: 0.3 is above p99_ms, 0.2"),
        ({"n": 0, "source": MEASURED}, "row 2: n: 0 measurements, but percentiles of them"),
        ({"measured_at": "yesterday"}, "row 2: measured_at: 'yesterday' is not a time"),
        (
            {"measured_at": (datetime.now(UTC) + timedelta(days=40)).isoformat()},
            "is in the future",
        ),
    ],
)
def test_what_an_entry_cannot_say_is_named(changes: dict[str, Any], named: str) -> None:
    assert named in _problems(_with(**changes))


def test_a_clock_that_is_a_few_hours_ahead_is_no_fault() -> None:
    soon = datetime.now(UTC) + timedelta(hours=14)
    require_plausible(_with(measured_at=soon.isoformat()))
    require_plausible(_with(measured_at=soon.replace(tzinfo=None).isoformat()))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ratio": -1.0}, "calibration.ratio: -1 would make slow blocks cheap"),
        ({"ratio": 0.0, "per_block_ms": 0.0}, "less than nothing"),
        ({"per_block_ms": -1.0}, "within a network, less than nothing"),
        ({"constant_ms": -1e9}, "calibration.constant_ms: -1e+09 ms is more than all blocks"),
        ({"relative_errors": (0.1, -1.5)}, "relative_errors: an estimate below nothing"),
        (
            {"per_junction_ms": {"conv": -0.1}},
            "per_junction_ms: a junction costs less than nothing",
        ),
    ],
)
def test_what_a_calibration_cannot_say_is_named(changes: dict[str, Any], named: str) -> None:
    assert named in _problems(replace(small_table(), calibration=replace(SOUND, **changes)))


def test_every_fault_is_told_at_once_up_to_fifty() -> None:
    table = small_table()
    assert _problems(_with(0, p10_ms=9.0)).count("row ") == 1
    bad = tuple(replace(one, p10_ms=9.0) for one in table.entries)
    assert _problems(replace(table, entries=bad)).count("is above") == len(bad)
    many = tuple(
        Entry(
            ConvBlock(3, 8 * n, 8, 8, kernel=3),
            p10_ms=9.0,
            p50_ms=1.0,
            n=3,
            measured_at="2026-01-01",
        )
        for n in range(1, 71)
    )
    told = _problems(replace(table, entries=many))
    assert told.count("is above") == 50
    assert "and 20 more problems" in told
