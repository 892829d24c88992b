"""Columns of outputs, and the one that is worst beside the original's.

Columns run along every axis of an output but the samples': of boxes and scores `(1, 22, 2100)`, 22
rows and 2,100 places are looked at, each over all the rest. A column is judged by what of it varies
from sample to sample. Where the last axis is a distribution (not negative, of sum 1), of its
columns those are judged that are the largest in a few places: of a class that is met once a single
other decision is all that there is to see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_service.recorded.feeds import Array
from nas_service.recorded.parity import VARIES, decibels

Floats = npt.NDArray[np.float64]

FEW = 4
"""With fewer samples a column's variance says nothing."""
_MOST_COLUMNS = 20_000
"""An axis with more is none of columns."""
_DISTRIBUTED = 1e-3
"""How far from 1 the sums of a distribution are."""


@dataclass(frozen=True, slots=True)
class Column:
    """A place along an axis of an output."""

    axis: int
    at: int

    def __str__(self) -> str:
        return f"{self.at} of axis {self.axis}"


def worst_column(
    found: Sequence[Array], original: Sequence[Array], largest: float
) -> tuple[Column | None, float | None, Column | None]:
    """The column with the most noise, its signal over it in decibels; one that died."""
    if len(original) < FEW:
        return None, None, None
    worst: tuple[Column | None, float | None] = (None, None)
    scale = max(largest, 1e-300)
    for axis, ours, theirs, judged in _columns(found, original):
        count = theirs.shape[1]
        signal, left = (theirs**2).sum(axis=1), (ours**2).sum(axis=1)
        noise = ((ours - theirs) ** 2).sum(axis=1)
        varied = np.flatnonzero(judged & (np.sqrt(signal / count) > VARIES * scale))
        if not len(varied):
            continue
        gone = varied[np.sqrt(left[varied] / count) <= 1e-3 * VARIES * scale]
        if len(gone):
            return None, None, Column(axis, int(gone[0]))
        levels = decibels(signal[varied], noise[varied])
        at = int(np.argmin(levels))
        if worst[1] is None or levels[at] < worst[1]:
            worst = Column(axis, int(varied[at])), float(levels[at])
    return (*worst, None)


def _columns(
    found: Sequence[Array], original: Sequence[Array]
) -> Iterator[tuple[int, Floats, Floats, npt.NDArray[np.bool_]]]:
    """Of each axis with columns: both answers as `(columns, numbers)`, and which are judged."""
    rank = original[0].ndim
    mine, theirs = list(stacked(found)), list(stacked(original))
    distributed = all(_is_distribution(one) for one in original)
    found_one = False
    for axis in range(rank):
        sizes = {one.shape[axis] for one in original}
        if len(sizes) > 1 or not 1 < (size := sizes.pop()) <= _MOST_COLUMNS:
            continue
        found_one = True
        judged = np.ones(size, dtype=bool)
        if distributed and axis == rank - 1:
            chosen = np.concatenate([one.argmax(axis=-1).ravel() for one in original])
            judged = np.bincount(chosen, minlength=size) >= FEW
        yield axis, _along(axis, mine), _along(axis, theirs), judged
    if not found_one:
        numbers = [
            np.concatenate([varied_of(one).ravel() for one in some]) for some in (mine, theirs)
        ]
        yield 0, numbers[0][None], numbers[1][None], np.ones(1, dtype=bool)


def _along(axis: int, stacks: Sequence[Floats]) -> Floats:
    """What varies of a column from sample to sample; about its own mean in samples of few alike."""
    alike = [_of_columns(axis, varied_of(one)) for one in stacks if len(one) >= FEW]
    others = [_of_columns(axis, one) for one in stacks if len(one) < FEW]
    if others:
        together = np.concatenate(others, axis=1)
        alike.append(together - together.mean(axis=1, keepdims=True))
    return np.concatenate(alike, axis=1)


def _of_columns(axis: int, stack: Floats) -> Floats:
    moved = np.moveaxis(stack, axis + 1, 0)
    return moved.reshape(len(moved), -1)


def _is_distribution(values: Array) -> bool:
    if values.ndim == 0 or values.shape[-1] < 3 or not values.size or values.min() < 0.0:
        return False
    return bool(np.abs(values.sum(axis=-1) - 1.0).max() < _DISTRIBUTED)


def stacked(samples: Sequence[Array]) -> Iterator[Floats]:
    """Samples of the same sizes together: `(n, ...)`."""
    sizes = dict.fromkeys(one.shape for one in samples)
    for shape in sizes:
        stack: Floats = np.stack([one for one in samples if one.shape == shape]).astype(np.float64)
        yield stack


def varied_of(stack: Floats) -> Floats:
    """What of each number varies from sample to sample; all about one mean where there is one."""
    mean = stack.mean() if len(stack) < FEW else stack.mean(axis=0)
    varied: Floats = stack - mean
    return varied
