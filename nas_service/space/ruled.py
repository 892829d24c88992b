"""A space without the architectures that rules forbid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.space.base import IntArray, SearchSpace
from nas_service.space.rule import BoolArray, LinearRow, Rule
from nas_service.space.sampling import uniform
from nas_service.space.wrapped import WrappedSpace

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
        return np.asarray(self._n_broken(self.canonical(genotypes)) == 0)

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

    def _n_broken(self, rows: IntArray) -> IntArray:
        broken: Any = np.zeros(len(rows), dtype=np.int64)
        for rule in self.rules:
            broken = broken + ~rule.holds(rows)
        return np.asarray(broken, dtype=np.int64)

    def _nearest(self, genotype: IntArray) -> IntArray:
        """`genotype` changed decision by decision until it keeps all rules.

        Where no single change helps, the random genotype that keeps them and is nearest.
        """
        row = self.canonical(genotype[None, :])
        while broken := int(self._n_broken(row)[0]):
            changed = self._neighbours(row)
            left = self._n_broken(changed)
            if not left.size or int(left.min()) >= broken:
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
        drawn = uniform(self.inner, _N_TRIED, np.random.default_rng(0))
        kept = drawn[self._n_broken(drawn) == 0]
        if not len(kept):
            worst = max(self.rules, key=lambda rule: float((~rule.holds(drawn)).mean()))
            raise InvalidSpec(
                f"the rules leave nothing of space {self.name}: none of {_N_TRIED:,} random "
                f"networks keeps them all; rules[{worst.number}] forbids the most ({worst.text})",
                field="rules",
            )
        return np.asarray(kept[int((kept != row).sum(axis=1).argmin())])
