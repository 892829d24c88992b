"""A curve as a drawing that the server makes: what a page shows without scripts, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.api.insights import FrontMoment

WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 640, 180, 60, 26, 12


@dataclass(frozen=True, slots=True)
class Mark:
    """A number at an axis, and where."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A line as SVG points, the numbers at its axes, and its last value."""

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
    low, high = min(ys), max(ys)
    if high - low < 1e-9:
        low, high = low - 0.5 * abs(low or 1.0), high + 0.5 * abs(high or 1.0)
    first, last = min(xs), max(xs)

    def x_of(value: float) -> float:
        return round(LEFT + (value - first) / (last - first) * (WIDTH - LEFT - 10), 1)

    def y_of(value: float) -> float:
        return round(ABOVE + (high - value) / (high - low) * (HEIGHT - ABOVE - BELOW), 1)

    return Curve(
        points=" ".join(f"{x_of(x)},{y_of(y)}" for x, y in found),
        across=tuple(Mark(x_of(x), f"{x:g}") for x in (first, last)),
        up=tuple(Mark(y_of(y), f"{y:.3g}") for y in (low, high)),
    )
