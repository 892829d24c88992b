"""The hypervolume of a front over queries, as a curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.api.insights import FrontMoment
from nas_service.dashboard.drawing import Mark, Span, across, line, upwards


@dataclass(frozen=True, slots=True)
class Curve:
    """A line as SVG points, the numbers at its axes."""

    points: str
    across: tuple[Mark, ...]
    up: tuple[Mark, ...]


def curve_of(moments: Sequence[FrontMoment]) -> Curve | None:
    """Hypervolume over queries; None where there are not two points of it."""
    found = [
        (float(one.n_evaluations), one.hypervolume)
        for one in moments
        if one.n_evaluations is not None and one.hypervolume is not None
    ]
    if len({x for x, _ in found}) < 2:
        return None
    xs, ys = [x for x, _ in found], [y for _, y in found]
    width, height = Span(min(xs), max(xs)), Span.of(ys)
    x_of, y_of = across(width), upwards(height)
    return Curve(
        points=line(xs, ys, x_of, y_of),
        across=tuple(Mark(x_of(x), f"{x:g}") for x in (width.low, width.high)),
        up=tuple(Mark(y_of(y), f"{y:.3g}") for y in (height.low, height.high)),
    )
