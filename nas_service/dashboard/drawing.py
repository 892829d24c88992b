"""Plots that the server draws as SVG: what a page shows without scripts, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BELOW, ABOVE, RIGHT = 640, 180, 60, 26, 12, 10
Place = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A number at an axis, and where."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A range of values, never empty."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Span:
        """From the least to the greatest value; around it where all are the same."""
        low, high = min(values), max(values)
        if high - low < 1e-9:
            reach = 0.5 * abs(low or 1.0)
            return cls(low - reach, high + reach)
        return cls(low, high)


def across(span: Span, *, width: int = WIDTH) -> Place:
    """Where values of the horizontal axis are, in a drawing so wide."""

    def place(value: float) -> float:
        share = (value - span.low) / (span.high - span.low)
        return round(LEFT + share * (width - LEFT - RIGHT), 1)

    return place


def upwards(span: Span, *, height: int = HEIGHT) -> Place:
    """Where values of the vertical axis are, in a drawing so high."""

    def place(value: float) -> float:
        share = (span.high - value) / (span.high - span.low)
        return round(ABOVE + share * (height - ABOVE - BELOW), 1)

    return place


def line(xs: Sequence[float], ys: Sequence[float], x_of: Place, y_of: Place) -> str:
    """Points of a line as SVG has them."""
    return " ".join(f"{x_of(x)},{y_of(y)}" for x, y in zip(xs, ys, strict=True))
