"""Rules that were checked against a space: what they let pass, and how solvers read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nas_service.space.absence import Absence
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.products import Products

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LinearRow:
    """A bound on a sum over decisions: what each value adds, by the decision's position."""

    weights: tuple[tuple[int, npt.NDArray[np.float64]], ...]
    least: float
    most: float


_ROUNDED = 1e-9
_ASKING = {"always", "then"}
"""Parts of a rule whose conditions have to hold; the others tell where it does."""


class Rule(Protocol):
    """A rule that was checked against a space; `number` is its place among others, from 0."""

    @property
    def number(self) -> int: ...

    @property
    def text(self) -> str: ...

    def holds(self, rows: IntArray) -> BoolArray:
        """Which canonical genotypes keep it: `(n, d) -> (n,)`."""
        ...

    def missed(self, rows: IntArray) -> FloatArray:
        """How far canonical genotypes are from keeping it, 0 where they do: `(n, d) -> (n,)`."""
        ...

    def rows(self) -> list[LinearRow]:
        """The rule as bounds on sums in which a decision's value counts once, as solvers read it.

        Of a network with several genotypes they let some pass and others not. None where the rule
        is a bound on sums over slots (`ProductsRule`).
        """
        ...


@dataclass(frozen=True)
class ProductsRule:
    """Bounds on the multiply-accumulates of some slots together."""

    number: int
    text: str
    products: Products
    least: float
    most: float

    def holds(self, rows: IntArray) -> BoolArray:
        """See `Rule.holds`."""
        return np.asarray(self.missed(rows) == 0)

    def missed(self, rows: IntArray) -> FloatArray:
        """See `Rule.missed`: by what share the bound is left."""
        return _outside(self.products(rows), self.least, self.most)

    def rows(self) -> list[LinearRow]:
        """None: see `Rule.rows`."""
        return []


@dataclass(frozen=True)
class DecisionRule:
    """A `Rule` on values of decisions."""

    number: int
    text: str
    _absences: Mapping[int, Absence]
    _parts: tuple[tuple[str, Sequence[tuple[int, BoolArray]]], ...]
    _sum: tuple[Sequence[tuple[int, npt.NDArray[np.float64]]], float, float] | None = None

    def holds(self, rows: IntArray) -> BoolArray:
        """See `Rule.holds`."""
        if self._sum is not None:
            _, least, most = self._sum
            return np.asarray(_outside(self._total(rows), least, most) == 0)
        held = {
            name: np.logical_and.reduce(self._conditions(name, parts, rows))
            for name, parts in self._parts
        }
        if "always" in held:
            return np.asarray(held["always"])
        if "never" in held:
            return np.asarray(~held["never"])
        return np.asarray(~held["if"] | held["then"])

    def _conditions(
        self, name: str, parts: Sequence[tuple[int, BoolArray]], rows: IntArray
    ) -> list[BoolArray]:
        """Which hold; of a layer that is not there what is asked for does, the others do not."""
        asks = name in _ASKING
        return [
            np.where(self._absent(place, rows), asks, allowed[rows[:, place]])
            for place, allowed in parts
        ]

    def _absent(self, place: int, rows: IntArray) -> BoolArray:
        absence = self._absences.get(place)
        return np.zeros(len(rows), dtype=np.bool_) if absence is None else absence(rows)

    def _total(self, rows: IntArray) -> FloatArray:
        assert self._sum is not None  # its callers look
        parts = [
            np.where(self._absent(place, rows), 0.0, values[rows[:, place]])
            for place, values in self._sum[0]
        ]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

    def missed(self, rows: IntArray) -> FloatArray:
        """See `Rule.missed`: a sum's distance, or one and a share of the conditions that fail."""
        if self._sum is not None:
            _, least, most = self._sum
            return _outside(self._total(rows), least, most)
        failing = np.zeros(len(rows))
        for name, conditions in self._parts:
            if name in _ASKING:
                failing += 1.0 - np.mean(self._conditions(name, conditions, rows), axis=0)
        return np.where(self.holds(rows), 0.0, 1.0 + failing)

    def rows(self) -> list[LinearRow]:
        """See `Rule.rows`."""
        if self._sum is not None:
            parts, least, most = self._sum
            return [LinearRow(self._counted(parts), least, most)]
        named = {
            # what fails of what is asked for, what holds of what forbids
            name: [
                (place, (~one if name in _ASKING else one).astype(float)) for place, one in parts
            ]
            for name, parts in self._parts
        }
        if "always" in named:
            return [LinearRow(self._counted([one]), -np.inf, 0.0) for one in named["always"]]
        first = named["never"] if "never" in named else named["if"]
        if "never" in named:
            return [LinearRow(self._counted(first), -np.inf, len(first) - 1.0)]
        # all conditions of `if` let none of `then` fail
        return [
            LinearRow(self._counted([*first, one]), -np.inf, float(len(first)))
            for one in named["then"]
        ]

    def _counted(
        self, weights: Sequence[tuple[int, npt.NDArray[np.float64]]]
    ) -> tuple[tuple[int, npt.NDArray[np.float64]], ...]:
        """Weights that add nothing for layers that are not there."""
        found = list(weights)
        for place, by_value in weights:
            if absence := self._absences.get(place):
                less = by_value[absence.index] * absence.taking.astype(float)
                found.append((absence.by, -less))
        return tuple(found)


def _outside(values: FloatArray, least: float, most: float) -> FloatArray:
    """How far values are from their bounds, relative to these, 0 within: `(n,) -> (n,)`."""
    over = np.maximum(values - most, 0.0) / max(abs(most), 1.0) if np.isfinite(most) else 0.0
    under = np.maximum(least - values, 0.0) / max(abs(least), 1.0) if np.isfinite(least) else 0.0
    apart = np.asarray(over + under + np.zeros(len(values)))
    return np.where(apart <= _ROUNDED, 0.0, apart)  # 0.1 and 0.2 are at most 0.3
