"""Answers of a model of any signature beside those of the original: an output, a column at a time.

Columns run along every axis of an output but the samples': of boxes and scores `(1, 22, 2100)`, 22
rows and 2,100 places are looked at, each over all the rest. A column is judged by what of it varies
from sample to sample. Where the last axis is a distribution (not negative, of sum 1), of its
columns those are judged that are the largest somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nas_service.recorded.feeds import Array, Named
from nas_service.recorded.parity import (
    EXACT_DB,
    MAX_ABS,
    MIN_AGREEMENT,
    MIN_COLUMN_SQNR_DB,
    MIN_SQNR_DB,
    VARIES,
    Parity,
    decibels,
)

Floats = npt.NDArray[np.float64]

_FEW = 4
"""With fewer samples a column's variance says nothing."""
_MOST_COLUMNS = 20_000
"""An axis with more is none of columns."""
_DISTRIBUTED = 1e-3
"""How far from 1 the sums of a distribution are."""


@dataclass(frozen=True)
class JudgedOutputs:
    """What a model answered to each sample, what the original did, and what would be right."""

    found: Sequence[Named]
    original: Sequence[Named]
    targets: Sequence[Array] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Outputs, in the model's order."""
        return tuple(self.original[0])

    @property
    def comparable(self) -> bool:
        """Whether all answers are numbers, and of the sizes that the original's have."""
        return all(self.pair(name).same_sizes and self.pair(name).finite for name in self.names)

    def pair(self, name: str) -> OutputPair:
        """One output of both."""
        return OutputPair(
            name, [one[name] for one in self.found], [one[name] for one in self.original]
        )


@dataclass(frozen=True)
class OutputPair:
    """One output, sample by sample, and the original's; each sample may have sizes of its own."""

    name: str
    found: Sequence[Array]
    original: Sequence[Array]

    @property
    def whole(self) -> bool:
        """Whether it is of whole numbers: they are equal or not."""
        return self.original[0].dtype.kind in "iub"

    @property
    def same_sizes(self) -> bool:
        """Whether each sample's answer has the sizes that the original's has."""
        return all(a.shape == b.shape for a, b in zip(self.found, self.original, strict=True))

    @property
    def finite(self) -> bool:
        """Whether every answer is a number."""
        return self.whole or all(bool(np.isfinite(one).all()) for one in self.found)

    @cached_property
    def flat(self) -> tuple[Floats, Floats]:
        """All numbers of all samples, one after the other."""
        return _flat(self.found), _flat(self.original)

    @cached_property
    def fidelity(self) -> float:
        """Share of the original's variance that is met: 1 less the noise over it.

        The variance is about each number's mean over the samples where sizes are the same.
        """
        ours, theirs = self.flat
        if not theirs.size:
            return 1.0
        noise = float(((ours - theirs) ** 2).sum())
        varied = float(sum((_varied(one) ** 2).sum() for one in _stacked(self.original)))
        if varied <= (VARIES * max(1e-12, float(np.abs(theirs).max()))) ** 2 * theirs.size:
            return 1.0 if noise == 0.0 else 1.0 - noise / max(float((theirs**2).sum()), 1e-30)
        return 1.0 - noise / varied

    def decided(self, answers: Sequence[Array]) -> list[Array]:
        """What each answer says in each of its places: `(places,)`.

        The largest along the last axis; where that has one number its side of the middle, which is
        .5 where all of the original's lie between 0 and 1, else 0; whole numbers as they are.
        """
        inside = all(one.min() >= 0.0 and one.max() <= 1.0 for one in self.original if one.size)
        cut = 0.5 if inside else 0.0
        found = []
        for one in answers:
            if self.whole:
                found.append(one.ravel())
            elif one.ndim and one.shape[-1] > 1:
                found.append(one.argmax(axis=-1).ravel())
            else:
                found.append((one > cut).ravel())
        return found

    def decisions(self) -> Array:
        """Where both decide the same; see `decided`."""
        both = zip(self.decided(self.found), self.decided(self.original), strict=True)
        return np.concatenate([ours == theirs for ours, theirs in both])


def parity_of_outputs(judged: JudgedOutputs, precision: str, agreement: float) -> Parity:
    """The parity of the output that is worst, which it names; all of them have to be as asked for.

    `agreement` is the score of the whole by the metric that the model is judged by.
    """
    verdicts = [_parity(judged.pair(name), precision, agreement) for name in judged.names]
    return min(verdicts, key=lambda one: (one.ok, one.sqnr_db))


def _parity(pair: OutputPair, precision: str, agreement: float) -> Parity:
    empty = Parity(None, -EXACT_DB, agreement, False, output=pair.name)
    if not pair.same_sizes:
        return replace(empty, why=f"output {pair.name} has other sizes than the original's")
    if not any(one.size for one in pair.original):
        return replace(empty, max_abs=0.0, sqnr_db=EXACT_DB, ok=True)
    if pair.whole:
        equal = float(pair.decisions().mean())
        ok = equal >= MIN_AGREEMENT[precision]
        why = "" if ok else f"output {pair.name}: {equal:.1%} of its numbers are the same"
        return replace(empty, sqnr_db=EXACT_DB if equal == 1.0 else 0.0, ok=ok, why=why)
    ours, theirs = pair.flat
    for who, values in (("the original", theirs), ("it", ours)):
        if not np.isfinite(values).all():
            return replace(empty, why=f"{who} gives what is no number in output {pair.name}")
    difference = ours - theirs
    max_abs = float(np.abs(difference).max())
    sqnr_db = float(decibels((theirs**2).mean(), (difference**2).mean()))
    worst, column_db, dead = _worst_column(pair)
    why = _why(precision, max_abs, float(np.abs(theirs).max()), sqnr_db, agreement)
    if dead is not None:
        why = f"column {dead} varied in the original and is constant now"
    elif not why and column_db is not None and column_db < MIN_COLUMN_SQNR_DB[precision]:
        why = (
            f"column {worst} has a signal of {column_db:.0f} dB over its noise, "
            f"{MIN_COLUMN_SQNR_DB[precision]:.0f} are asked for"
        )
    return Parity(
        max_abs=round(max_abs, 8),
        sqnr_db=round(sqnr_db, 2),
        agreement=round(agreement, 6),
        ok=not why,
        worst_column=None if worst is None else worst.at,
        worst_column_sqnr_db=None if column_db is None else round(column_db, 2),
        why=f"output {pair.name}: {why}" if why else "",
        output=pair.name,
    )


def _why(precision: str, max_abs: float, largest: float, sqnr_db: float, agreement: float) -> str:
    limit = MAX_ABS.get(precision)
    if limit is not None and max_abs > limit * max(1.0, largest):
        return f"differs by {max_abs:.3g}"
    if sqnr_db < MIN_SQNR_DB[precision]:
        return f"a signal of {sqnr_db:.0f} dB over its noise, {MIN_SQNR_DB[precision]:.0f} asked"
    if agreement < MIN_AGREEMENT[precision]:
        return f"agrees on {agreement:.1%}"
    return ""


@dataclass(frozen=True, slots=True)
class _Column:
    axis: int
    at: int

    def __str__(self) -> str:
        return f"{self.at} of axis {self.axis}"


def _worst_column(pair: OutputPair) -> tuple[_Column | None, float | None, _Column | None]:
    """The column with the most noise, its signal over it in decibels; one that died."""
    if len(pair.original) < _FEW:
        return None, None, None
    worst: tuple[_Column | None, float | None] = (None, None)
    scale = max(float(np.abs(pair.flat[1]).max()), 1e-12)
    for axis, ours, theirs, judged in _columns(pair):
        count = theirs.shape[1]
        signal, left = (theirs**2).sum(axis=1), (ours**2).sum(axis=1)
        noise = ((ours - theirs) ** 2).sum(axis=1)
        varied = np.flatnonzero(judged & (np.sqrt(signal / count) > VARIES * scale))
        if not len(varied):
            continue
        gone = varied[np.sqrt(left[varied] / count) <= 1e-3 * VARIES * scale]
        if len(gone):
            return None, None, _Column(axis, int(gone[0]))
        levels = decibels(signal[varied], noise[varied])
        at = int(np.argmin(levels))
        if worst[1] is None or levels[at] < worst[1]:
            worst = _Column(axis, int(varied[at])), float(levels[at])
    return (*worst, None)


def _columns(pair: OutputPair) -> Iterator[tuple[int, Floats, Floats, npt.NDArray[np.bool_]]]:
    """Of each axis with columns: both answers as `(columns, numbers)`, and which are judged."""
    rank = pair.original[0].ndim
    mine, theirs = list(_stacked(pair.found)), list(_stacked(pair.original))
    distributed = all(_is_distribution(one) for one in pair.original)
    found_one = False
    for axis in range(rank):
        sizes = {one.shape[axis] for one in pair.original}
        if len(sizes) > 1 or not 1 < (size := sizes.pop()) <= _MOST_COLUMNS:
            continue
        found_one = True
        judged = np.ones(size, dtype=bool)
        if distributed and axis == rank - 1:
            judged[:] = False
            for one in pair.original:
                judged[np.unique(one.argmax(axis=-1))] = True
        yield axis, _along(axis, mine), _along(axis, theirs), judged
    if not found_one:
        numbers = [
            np.concatenate([_varied(one).ravel() for one in some]) for some in (mine, theirs)
        ]
        yield 0, numbers[0][None], numbers[1][None], np.ones(1, dtype=bool)


def _along(axis: int, stacks: Sequence[Floats]) -> Floats:
    """What varies of a column from sample to sample; about its own mean in samples of few alike."""
    alike = [_of_columns(axis, _varied(one)) for one in stacks if len(one) >= _FEW]
    others = [_of_columns(axis, one) for one in stacks if len(one) < _FEW]
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


def _stacked(samples: Sequence[Array]) -> Iterator[Floats]:
    """Samples of the same sizes together: `(n, ...)`."""
    sizes = dict.fromkeys(one.shape for one in samples)
    for shape in sizes:
        stack: Floats = np.stack([one for one in samples if one.shape == shape]).astype(np.float64)
        yield stack


def _varied(stack: Floats) -> Floats:
    """What of each number varies from sample to sample; all about one mean where there is one."""
    mean = stack.mean() if len(stack) < _FEW else stack.mean(axis=0)
    varied: Floats = stack - mean
    return varied


def _flat(samples: Sequence[Array]) -> Floats:
    flat: Floats = np.concatenate([one.ravel() for one in samples]).astype(np.float64)
    return flat
