"""Recordings: rows that follow each other in time, at one rate, and the windows cut from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData
from nas_service.learning.signals.labels import Labelling
from nas_service.learning.signals.read import IntArray

_GAP = 1.5
"""A step so many times the usual one is a gap."""
_UNEVEN, _SHARE = 0.2, 0.05
"""Steps this far off the usual one, in more than this share of rows, are another rate."""
_RATES_APART = 0.05


@dataclass(frozen=True)
class Recording:
    """Rows of one recording in time: signals `(steps, channels)`, labels, seconds if known."""

    place: str
    rows: IntArray
    """Their numbers in the file, from 1."""
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]
    times: npt.NDArray[np.float64] | None
    part: int
    group: str
    """What stays on one side, wherever it is met: a value of the group column, else the file."""


def rate_hz(steps_s: Sequence[float]) -> float | None:
    """Of recordings with these usual steps; None where none of them is known."""
    known = [one for one in steps_s if np.isfinite(one)]
    return float(f"{1.0 / float(np.median(known)):.6g}") if known else None


def usual_step(one: Recording) -> float:
    """Seconds from one row to the next, of a recording with times; NaN where it has one row."""
    assert one.times is not None
    return float(np.median(np.diff(one.times))) if len(one.times) > 1 else np.nan


def require_one_rate(recordings: Sequence[Recording]) -> None:
    """Time goes forward, by the same step within a recording and over all of them."""
    first: tuple[float, Recording] | None = None
    for one in recordings:
        if one.times is None or len(one.times) < 2:
            continue
        steps = np.diff(one.times)
        if (back := np.flatnonzero(steps <= 0)).size:
            raise InvalidData(
                f"{one.place}, row {one.rows[int(back[0]) + 1]}: time does not go forward; "
                "rows of one recording have to follow each other (is a group column missing?)"
            )
        usual = usual_step(one)
        off = np.abs(steps / usual - 1.0) > _UNEVEN
        if off.mean() > _SHARE:
            row = one.rows[int(np.flatnonzero(off)[0]) + 1]
            raise InvalidData(
                f"{one.place}, row {row}: the sampling rate changes, from {1.0 / usual:.4g} Hz to "
                f"{1.0 / steps[off][0]:.4g} Hz; bring the recording to one rate first"
            )
        if first is None:
            first = usual, one
        elif abs(usual / first[0] - 1.0) > _RATES_APART:
            raise InvalidData(
                f"{one.place} was sampled at {1.0 / usual:.4g} Hz, {first[1].place} at "
                f"{1.0 / first[0]:.4g} Hz; bring all recordings to one rate first"
            )


def windows_of(
    one: Recording,
    window: int,
    hop: int,
    aside: Counter[str],
    labelling: Labelling,
    normal: str | None = None,
) -> Iterator[tuple[npt.NDArray[np.float32], Any]]:
    """Windows `(channels, steps)` with what their rows' labels `(steps,)` make theirs."""
    label_of = labelling.of_rows(normal)
    for start, end in _stretches(one):
        if end - start < window:
            aside["stretches shorter than a window"] += 1
        for begin in range(start, end - window + 1, hop):
            label = label_of(one.labels[begin : begin + window])
            if label is None:
                aside[labelling.why_none] += 1
                continue
            yield np.ascontiguousarray(one.values[begin : begin + window].T), label


def _stretches(one: Recording) -> Iterator[tuple[int, int]]:
    """Rows between gaps in time."""
    if one.times is None:
        yield 0, len(one.values)
        return
    gaps = np.flatnonzero(np.diff(one.times) > _GAP * usual_step(one)) + 1
    edges = [0, *gaps.tolist(), len(one.values)]
    yield from pairwise(edges)
