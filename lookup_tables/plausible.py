"""What a table from outside may not say: costs below nothing, times to come, odd orders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from lookup_tables.calibrate import Calibration, block_sums
from lookup_tables.errors import InvalidTable
from lookup_tables.table import MEASURED, Entry, LookupTable

_MOST_TOLD = 50
_ROUNDING = 1e-6
_AHEAD = timedelta(days=1)
"""Clocks differ, and time zones are forgotten; more is another year."""


def require_plausible(table: LookupTable) -> None:
    """Raise `InvalidTable` with every problem of a table whose file is well formed."""
    problems = [*_of_calibration(table)]
    for row, entry in enumerate(table.entries, start=2):
        problems += [f"row {row}: {text}" for text in _of_entry(entry)]
    if problems:
        more = len(problems) - _MOST_TOLD
        raise InvalidTable(
            [*problems[:_MOST_TOLD], *([f"and {more} more problems"] if more > 0 else [])]
        )


def _of_entry(entry: Entry) -> Iterator[str]:
    known = [
        (name, value)
        for name in ("p10_ms", "p50_ms", "p90_ms", "p99_ms")
        if (value := getattr(entry, name)) is not None
    ]
    for (lower, low), (upper, high) in pairwise(known):
        if low > high * (1.0 + _ROUNDING):
            yield f"{lower}: {low:g} is above {upper}, {high:g}"
    if entry.source == MEASURED and entry.n < 1 and entry.p50_ms is not None:
        yield f"n: {entry.n} measurements, but percentiles of them"
    if entry.measured_at is not None:
        try:
            at = datetime.fromisoformat(entry.measured_at)
        except ValueError:
            yield f"measured_at: {entry.measured_at!r} is not a time (ISO 8601)"
            return
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if at > datetime.now(UTC) + _AHEAD:
            yield f"measured_at: {entry.measured_at} is in the future"


def _of_calibration(table: LookupTable) -> Iterator[str]:
    calibration = table.calibration
    if calibration is None:
        return
    if calibration.ratio < 0:
        yield f"row 1: calibration.ratio: {calibration.ratio:g} would make slow blocks cheap"
    if any(error <= -1.0 for error in calibration.relative_errors):
        yield "row 1: calibration.relative_errors: an estimate below nothing"
    if any(ms < 0 for ms in calibration.per_junction_ms.values()):
        yield "row 1: calibration.per_junction_ms: a junction costs less than nothing"
    blocks = [entry.block for entry in table.entries]
    sums = block_sums(table, blocks, calibration.columns)
    costs = calibration.slopes(sums)
    if len(costs) and costs.min() <= 0:
        at = int(costs.argmin())
        yield (
            f"row 1: calibration: block {blocks[at].key} would take {costs[at]:.3g} ms within a "
            "network, less than nothing"
        )
    yield from _of_constant(calibration, float(sums[:, 0].sum()))


def _of_constant(calibration: Calibration, everything_ms: float) -> Iterator[str]:
    """A network's constant is of the size of its blocks, not of all blocks together."""
    if abs(calibration.constant_ms) > everything_ms:
        yield (
            f"row 1: calibration.constant_ms: {calibration.constant_ms:g} ms is more than all "
            f"blocks of the table together, {everything_ms:.4g} ms"
        )
