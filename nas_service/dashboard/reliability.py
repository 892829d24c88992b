"""Whether a device's predictions hold as often as they say, and how it moved since its tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from nas_service.api.documents.devices import DriftCheck
from nas_service.dashboard.drawing import Mark, Span, across, line, upwards

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LEAST_POINTS = 5
"""Fewer measurements say nothing of how often a bound holds."""
COVERAGE_SIDE = 240
_NORMAL = NormalDist()
_WORTH_A_LOOK = 0.02
"""A shift within this share is what tables promise; see `lookup_tables.drift`."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was predicted, its bound at a probability, and what was measured, all in ms."""

    predicted_ms: float
    upper_ms: float
    probability: float
    measured_ms: float

    def bound_ms(self, level: float) -> float:
        """The bound at another probability: errors of latencies are log-normal, as bounds are.

        At 0.5 it is the prediction itself.
        """
        if self.upper_ms <= self.predicted_ms:
            return self.predicted_ms
        spread = math.log(self.upper_ms / self.predicted_ms) / _NORMAL.inv_cdf(self.probability)
        return self.predicted_ms * math.exp(_NORMAL.inv_cdf(level) * spread)


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Of so many measurements, how many stayed at or below the bound of a level."""

    level: float
    within: int
    share: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """Rows by level, and the same as a line beside that of what was promised."""

    rows: tuple[CoverageRow, ...]
    n: int
    points: str
    promised: str
    marks_across: tuple[Mark, ...]
    marks_up: tuple[Mark, ...]


def coverage_of(predictions: Sequence[Prediction]) -> Coverage | None:
    """How often bounds of each level held; None where too few were measured."""
    n = len(predictions)
    if n < LEAST_POINTS:
        return None
    rows = []
    for level in LEVELS:
        within = sum(one.measured_ms <= one.bound_ms(level) for one in predictions)
        rows.append(CoverageRow(level, within, within / n))
    x_of = across(Span(LEVELS[0], 1.0), width=COVERAGE_SIDE + 70)
    y_of = upwards(Span(0.0, 1.0), height=COVERAGE_SIDE)
    ends = (LEVELS[0], 1.0)
    return Coverage(
        rows=tuple(rows),
        n=n,
        points=line([one.level for one in rows], [one.share for one in rows], x_of, y_of),
        promised=line(ends, ends, x_of, y_of),
        marks_across=tuple(Mark(x_of(one), f"{one:.0%}") for one in ends),
        marks_up=tuple(Mark(y_of(one), f"{one:.0%}") for one in (0.0, 0.5, 1.0)),
    )


@dataclass(frozen=True, slots=True)
class DriftRow:
    """What one check said of one target."""

    at: datetime
    target: str
    text: str
    moved: bool | None
    shift: float | None


@dataclass(frozen=True, slots=True)
class DriftLine:
    """A target's shifts over time as SVG points."""

    target: str
    points: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class DriftHistory:
    """All that checks said, newest first, and shifts over time where two checks give some."""

    rows: tuple[DriftRow, ...]
    lines: tuple[DriftLine, ...]
    quiet: tuple[float, float] | None
    """Where the band of what is no drift begins, and how high it is."""
    marks_across: tuple[Mark, ...]
    marks_up: tuple[Mark, ...]


def drift_history(checks: Sequence[DriftCheck]) -> DriftHistory:
    """Checks as rows, and as lines over the time of the checks."""
    rows = [
        DriftRow(
            check.checked_at, target, _said(one.moved, one.shift, one.reason), one.moved, one.shift
        )
        for check in checks
        if check.checked_at is not None
        for target, one in check.targets.items()
    ]
    known = [row for row in rows if row.shift is not None]
    newest_first = tuple(sorted(rows, key=lambda one: one.at, reverse=True))
    if len({row.at for row in known}) < 2:
        return DriftHistory(newest_first, (), None, (), ())
    times = [row.at.timestamp() for row in known]
    shifts = [row.shift or 0.0 for row in known]
    span = Span(min(*shifts, -2 * _WORTH_A_LOOK), max(*shifts, 2 * _WORTH_A_LOOK))
    x_of, y_of = across(Span.of(times)), upwards(span)
    lines = []
    for target in dict.fromkeys(row.target for row in known):
        own = [row for row in known if row.target == target]
        xs = [row.at.timestamp() for row in own]
        ys = [row.shift or 0.0 for row in own]
        dots = tuple((x_of(x), y_of(y)) for x, y in zip(xs, ys, strict=True))
        lines.append(DriftLine(target, line(xs, ys, x_of, y_of), dots))
    top, bottom = y_of(_WORTH_A_LOOK), y_of(-_WORTH_A_LOOK)
    ends = (min(known, key=lambda one: one.at), max(known, key=lambda one: one.at))
    return DriftHistory(
        newest_first,
        tuple(lines),
        (top, round(bottom - top, 1)),
        tuple(Mark(x_of(one.at.timestamp()), f"{one.at:%Y-%m-%d}") for one in ends),
        tuple(Mark(y_of(one), f"{one:+.0%}") for one in (span.low, 0.0, span.high)),
    )


def _said(moved: bool | None, shift: float | None, reason: str | None) -> str:
    if moved is None:
        return f"nothing can be said: {reason or 'too few stable measurements'}"
    if shift is None:
        return reason or "it has moved"
    way = "slower" if shift > 0 else "faster"
    return f"{'has moved' if moved else 'has not moved'}: {abs(shift):.1%} {way}"
