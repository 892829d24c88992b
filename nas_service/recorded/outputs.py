"""Answers of a model of any signature beside those of the original: an output, a column at a time.

What columns are is told in `columns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nas_service.recorded.columns import Floats, stacked, varied_of, worst_column
from nas_service.recorded.feeds import Array, Named
from nas_service.recorded.parity import (
    EXACT_DB,
    MAX_ABS,
    MIN_AGREEMENT,
    MIN_SQNR_DB,
    VARIES,
    Parity,
    decibels,
    with_columns,
)

_NOTHING = 1e-300
"""Outputs may be as small as they like; this keeps 0 from being divided by."""


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
        varied = float(sum((varied_of(one) ** 2).sum() for one in stacked(self.original)))
        if varied <= (VARIES * float(np.abs(theirs).max())) ** 2 * theirs.size:
            return 1.0 if noise == 0.0 else 1.0 - noise / max(float((theirs**2).sum()), _NOTHING)
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

    @property
    def same_decisions(self) -> float:
        """The share of places where both decide the same; all of none."""
        same = self.decisions()
        return float(same.mean()) if same.size else 1.0


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
        equal = pair.same_decisions
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
    worst, column_db, dead = worst_column(pair.found, pair.original, float(np.abs(theirs).max()))
    why = _why(precision, max_abs, float(np.abs(theirs).max()), sqnr_db, agreement)
    why = with_columns(why, precision, dead=dead, worst=worst, level_db=column_db)
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


def _flat(samples: Sequence[Array]) -> Floats:
    flat: Floats = np.concatenate([one.ravel() for one in samples]).astype(np.float64)
    return flat
