"""A space without the architectures that rules forbid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.space.base import FloatArray, IntArray, SearchSpace
from nas_service.space.rule import BoolArray, LinearRow, Rule
from nas_service.space.sampling import uniform
from nas_service.space.wrapped import WrappedSpace

_N_REPAIRED = 64
_MOST_CHANGES = 40
"""Of one network, before it is given up."""
_N_TRIED = 4096
"""Random genotypes among which one that keeps all rules is looked for."""


def rules_in(space: SearchSpace) -> list[Rule]:
    """The rules of a space, whatever else was put around it."""
    found: list[Rule] = []
    while isinstance(space, WrappedSpace):
        if isinstance(space, RuledSpace):
            found += space.rules
        space = space.inside
    return found


def linear_rows(space: SearchSpace) -> list[LinearRow]:
    """The rules of a space as bounds on sums over decisions; but for those on products."""
    return [row for rule in rules_in(space) for row in rule.rows()]


class RuledSpace(WrappedSpace):
    """A `SearchSpace` with the same decisions and blocks; what a rule forbids is not `valid`.

    Raises:
        InvalidSpec: the rules leave nothing; names the ones that most are broken by.
    """

    def __init__(self, space: SearchSpace, rules: Sequence[Rule]) -> None:
        super().__init__(space)
        self.inner = space
        self.rules = tuple(rules)
        self._ends = self._nearest(space.smallest()), self._nearest(space.largest())

    def kept(self, genotypes: IntArray) -> BoolArray:
        """Which networks keep all rules: `(n, d) -> (n,)`."""
        return np.asarray(self._missed(self.canonical(genotypes)) == 0)

    def removed(self, genotypes: IntArray) -> dict[str, float]:
        """Of valid networks, the share that each rule forbids, by its text."""
        rows = self.canonical(genotypes)
        return {rule.text: round(float(1.0 - rule.holds(rows).mean()), 4) for rule in self.rules}

    def valid(self, genotypes: IntArray) -> BoolArray:
        """Networks of the space that keep all rules."""
        return np.asarray(super().valid(genotypes) & self.kept(genotypes))

    def largest(self) -> IntArray:
        """The space's, with the decisions changed that break a rule."""
        return self._ends[1].copy()

    def smallest(self) -> IntArray:
        """The space's, with the decisions changed that break a rule."""
        return self._ends[0].copy()

    def repaired(self, genotypes: IntArray, generator: np.random.Generator) -> IntArray:
        """Canonical genotypes changed a decision at a time until they keep all rules: `(m, d)`.

        Each time one of the changes that bring it nearer to that; those that none does are left
        out. For rules that hardly any network keeps as it is drawn.
        """
        rows = self.canonical(genotypes[self.inner.valid(genotypes)])
        kept: list[IntArray] = []
        for _ in range(_MOST_CHANGES):
            missed = self._missed(rows)
            kept.append(rows[missed == 0])
            rows, missed = rows[missed > 0], missed[missed > 0]
            if not len(rows):
                break
            rows = self._nearer(rows, missed, generator)
        return np.concatenate(kept)

    def _nearer(
        self, rows: IntArray, missed: FloatArray, generator: np.random.Generator
    ) -> IntArray:
        """Of each row one of its changes that miss less, drawn by how much; fewer rows."""
        sizes = [decision.size for decision in self.decisions]
        places = np.repeat(np.arange(len(sizes)), sizes)
        values = np.concatenate([np.arange(size) for size in sizes])
        found = []
        for row, before in zip(rows, missed, strict=True):
            changed = np.repeat(row[None], len(places), axis=0)
            changed[np.arange(len(places)), places] = values
            changed = self.canonical(changed)
            gain = np.maximum(before - self._missed(changed), 0.0)
            gain[~self.inner.valid(changed)] = 0.0
            if gain.sum() > 0:
                found.append(changed[generator.choice(len(gain), p=gain / gain.sum())])
        return np.array(found, dtype=np.int64).reshape(-1, len(sizes))

    def _missed(self, rows: IntArray) -> FloatArray:
        """How far canonical genotypes are from keeping all rules: `(n, d) -> (n,)`."""
        missed: Any = np.zeros(len(rows))
        for rule in self.rules:
            missed = missed + rule.missed(rows)
        return np.asarray(missed, dtype=np.float64)

    def _nearest(self, genotype: IntArray) -> IntArray:
        """`genotype` changed decision by decision until it keeps all rules.

        Where no single change helps, the genotype that keeps them and is nearest of those that were
        drawn, or repaired.
        """
        row = self.canonical(genotype[None, :])
        while missed := float(self._missed(row)[0]):
            changed = self._neighbours(row)
            left = self._missed(changed)
            if not left.size or float(left.min()) >= missed:
                return self._nearest_drawn(row[0])
            row = changed[[int(left.argmin())]]
        return np.asarray(row[0])

    def _neighbours(self, row: IntArray) -> IntArray:
        found = []
        for place, decision in enumerate(self.decisions):
            for index in range(decision.size):
                changed = row.copy()
                changed[:, place] = index
                found.append(changed)
        rows = np.concatenate(found)
        return self.canonical(rows[self.inner.valid(rows)])

    def _nearest_drawn(self, row: IntArray) -> IntArray:
        generator = np.random.default_rng(0)
        drawn = uniform(self.inner, _N_TRIED, generator)
        kept = drawn[self._missed(drawn) == 0]
        if not len(kept):
            ends = np.stack([self.inner.smallest(), self.inner.largest()])
            kept = self.repaired(np.concatenate([ends, drawn[:_N_REPAIRED]]), generator)
        if not len(kept):
            worst = max(self.rules, key=lambda rule: float((~rule.holds(drawn)).mean()))
            raise InvalidSpec(
                f"the rules leave nothing of space {self.name}: none of {_N_TRIED:,} random "
                f"networks keeps them all; rules[{worst.number}] forbids the most ({worst.text})",
                field="rules",
            )
        return np.asarray(kept[int((kept != row).sum(axis=1).argmin())])
