"""Rules that were checked against a space: what they let pass, and how solvers read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

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
    _parts: tuple[tuple[str, Sequence[tuple[int, BoolArray]]], ...]
    _sum: tuple[Sequence[tuple[int, npt.NDArray[np.float64]]], float, float] | None = None

    def holds(self, rows: IntArray) -> BoolArray:
        """See `Rule.holds`."""
        if self._sum is not None:
            parts, least, most = self._sum
            total = np.sum([values[rows[:, place]] for place, values in parts], axis=0)
            return np.asarray(_outside(np.asarray(total, dtype=np.float64), least, most) == 0)
        held = {
            name: np.logical_and.reduce([allowed[rows[:, place]] for place, allowed in parts])
            for name, parts in self._parts
        }
        if "always" in held:
            return np.asarray(held["always"])
        if "never" in held:
            return np.asarray(~held["never"])
        return np.asarray(~held["if"] | held["then"])

    def missed(self, rows: IntArray) -> FloatArray:
        """See `Rule.missed`: a sum's distance, or one and a share of the conditions that fail."""
        if self._sum is not None:
            parts, least, most = self._sum
            total = np.sum([values[rows[:, place]] for place, values in parts], axis=0)
            return _outside(np.asarray(total, dtype=np.float64), least, most)
        failing = np.zeros(len(rows))
        for name, conditions in self._parts:
            if name in {"always", "then"}:
                kept = [allowed[rows[:, place]] for place, allowed in conditions]
                failing += 1.0 - np.mean(kept, axis=0)
        return np.where(self.holds(rows), 0.0, 1.0 + failing)

    def rows(self) -> list[LinearRow]:
        """See `Rule.rows`."""
        if self._sum is not None:
            parts, least, most = self._sum
            return [LinearRow(tuple(parts), least, most)]
        named = dict(self._parts)
        if "always" in named:
            forbidden = ((place, (~allowed).astype(float)) for place, allowed in named["always"])
            return [LinearRow((one,), -np.inf, 0.0) for one in forbidden]
        first = named["never"] if "never" in named else named["if"]
        held = tuple((place, allowed.astype(float)) for place, allowed in first)
        if "never" in named:
            return [LinearRow(held, -np.inf, len(held) - 1.0)]
        # all conditions of `if` let none of `then` fail
        return [
            LinearRow((*held, (place, -allowed.astype(float))), -np.inf, len(held) - 1.0)
            for place, allowed in named["then"]
        ]


def _outside(values: FloatArray, least: float, most: float) -> FloatArray:
    """How far values are from their bounds, relative to these, 0 within: `(n,) -> (n,)`."""
    over = np.maximum(values - most, 0.0) / max(abs(most), 1.0) if np.isfinite(most) else 0.0
    under = np.maximum(least - values, 0.0) / max(abs(least), 1.0) if np.isfinite(least) else 0.0
    apart = np.asarray(over + under + np.zeros(len(values)))
    return np.where(apart <= _ROUNDED, 0.0, apart)  # 0.1 and 0.2 are at most 0.3
