"""The best network under a limit, exactly: a mixed-integer program over the slots of a space.

Scores add up over decisions, costs over slots; what a slot costs depends on the few decisions that
it reads. One binary variable a value of a decision; for a slot that reads several, one variable a
combination, whose margins are those decisions, so that it is 0 or 1 by itself. Solved by HiGHS
(Huangfu and Hall, 2018) through scipy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array, vstack

from nas_service.search.slot_sums import SlotTable
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.rule import LinearRow
from nas_service.space.sampling import Choices

SOLVE_S = 20.0
"""A program that takes longer gives the best network found by then."""
_N_PROBED = 64
_MOST_CUTS = 40
"""Networks that are not valid, or not wanted, and are ruled out one by one."""


@dataclass(frozen=True)
class Limited:
    """A cost that adds up over slots, and what it may be at most (and at least)."""

    tables: Sequence[SlotTable]
    most: float
    least: float = -np.inf


class ExactChoice:
    """Solves for networks of one space under limits whose slots stay the same."""

    def __init__(self, space: Choices, rows: Sequence[LinearRow] = ()) -> None:
        """`rows` are rules that hold beside the limits."""
        self._space = space
        self._rules = [*rows, *_absent(space)]
        self._sizes = [decision.size for decision in space.decisions]
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)]).astype(int)

    def best(
        self, scores: Sequence[FloatArray], limits: Sequence[Limited], barred: IntArray
    ) -> IntArray | None:
        """The genotype `(d,)` of the highest sum of scores, one a value of each decision.

        Networks `barred` `(n, d)`, canonical ones, are left out. None: nothing keeps the limits.
        """
        program = _Program(self._sizes, self._starts, limits)
        for rule in self._rules:
            program.keep(rule)
        objective = -np.concatenate([*scores, np.zeros(program.n_more)])
        for _ in range(_MOST_CUTS):
            row = program.solve(objective)
            if row is None:
                return None
            canonical = self._space.canonical(row[None, :])
            if self._space.valid(row[None, :])[0] and not (barred == canonical).all(axis=1).any():
                return row
            program.rule_out(row)
        return None


def _absent(space: Choices) -> list[LinearRow]:
    """Where a value of one decision takes another one away, that has the value `canonical` gives.

    So canonical genotypes have it, and scores are learned on those: the layers beyond a depth bring
    nothing. Found by looking at what `canonical` does, and kept where it does so on every one of
    many networks drawn at random.
    """
    decisions = space.decisions
    generator = np.random.default_rng(0)
    sizes = [decision.size for decision in decisions]
    drawn = generator.integers(0, sizes, (_N_PROBED, len(sizes)))
    last = np.array([size - 1 for size in sizes], dtype=np.int64)
    found = []
    for base in (last, np.zeros_like(last)):
        for place, size in enumerate(sizes):
            for value in range(size):
                row = base.copy()
                row[place] = value
                given = space.canonical(row[None, :])[0]
                for other in np.flatnonzero(given != row):
                    if other == place:
                        continue
                    probe = drawn.copy()
                    probe[:, place], probe[:, other] = value, row[other]
                    if (space.canonical(probe)[:, other] == given[other]).all():
                        taken, there = np.zeros(size), np.ones(sizes[other])
                        taken[value], there[given[other]] = 1.0, 0.0
                        weights = ((place, taken), (int(other), there))
                        found.append(LinearRow(weights, -np.inf, 1.0))
    return found


class _Program:
    """Variables: those of decisions, then those of combinations, table by table."""

    def __init__(self, sizes: Sequence[int], starts: IntArray, limits: Sequence[Limited]) -> None:
        self._sizes, self._starts = sizes, starts
        self._n = int(starts[-1])
        self._rows: list[tuple[list[int], list[float], float, float]] = []
        for size, start in zip(sizes, starts, strict=False):
            at = list(range(start, start + size))
            self._rows.append((at, [1.0] * size, 1.0, 1.0))
        places: dict[tuple[int, ...], int] = {}
        for limit in limits:
            self._limit(limit, places)

    @property
    def n_more(self) -> int:
        """Variables beyond those of decisions."""
        return self._n - int(self._starts[-1])

    def _limit(self, limit: Limited, places: dict[tuple[int, ...], int]) -> None:
        at: list[int] = []
        by: list[float] = []
        least, most = limit.least, limit.most
        for reads, costs in _merged(limit.tables).items():
            if not reads:
                least, most = least - float(costs[0]), most - float(costs[0])
                continue
            first = self._starts[reads[0]] if len(reads) == 1 else self._combinations(reads, places)
            at += range(int(first), int(first) + len(costs))
            by += costs.tolist()
        self._rows.append((at, by, least, most))

    def _combinations(self, reads: tuple[int, ...], places: dict[tuple[int, ...], int]) -> int:
        """Where the variables of a table's combinations start, tied to their decisions."""
        if reads in places:
            return places[reads]
        start = places[reads] = self._n
        shape = [self._sizes[one] for one in reads]
        grid = np.arange(math.prod(shape)).reshape(shape)
        self._n += grid.size
        for axis, decision in enumerate(reads):
            for value in range(shape[axis]):
                inside = np.take(grid, value, axis=axis).ravel() + start
                at = [*inside.tolist(), int(self._starts[decision]) + value]
                self._rows.append((at, [*([1.0] * len(inside)), -1.0], 0.0, 0.0))
        return start

    def keep(self, rule: LinearRow) -> None:
        """A bound on a sum over decisions."""
        weights: dict[int, float] = {}
        for place, by_value in rule.weights:
            for value, weight in enumerate(by_value):
                at = int(self._starts[place]) + value
                weights[at] = weights.get(at, 0.0) + float(weight)
        self._rows.append((list(weights), list(weights.values()), rule.least, rule.most))

    def rule_out(self, row: IntArray) -> None:
        """Every network but this one."""
        at = [int(start) + int(value) for start, value in zip(self._starts, row, strict=False)]
        self._rows.append((at, [1.0] * len(at), -np.inf, len(at) - 1.0))

    def solve(self, objective: FloatArray) -> IntArray | None:
        """The genotype that is best, or None where there is none."""
        of_decisions = int(self._starts[-1])
        integral = np.zeros(self._n)
        integral[:of_decisions] = 1.0
        found = milp(
            objective,
            integrality=integral,
            bounds=Bounds(0.0, 1.0),
            constraints=[self._constraints()],
            options={"time_limit": SOLVE_S},
        )
        if found.x is None:
            return None
        chosen = [
            int(np.argmax(found.x[start : start + size]))
            for start, size in zip(self._starts, self._sizes, strict=False)
        ]
        return np.array(chosen, dtype=np.int64)

    def _constraints(self) -> LinearConstraint:
        blocks: list[csr_array] = []
        for at, by, _, _ in self._rows:
            zeros = np.zeros(len(at), dtype=int)
            blocks.append(coo_array((by, (zeros, at)), shape=(1, self._n)).tocsr())
        low = np.array([one[2] for one in self._rows])
        high = np.array([one[3] for one in self._rows])
        return LinearConstraint(vstack(blocks).tocsr(), low, high)


def _merged(tables: Sequence[SlotTable]) -> dict[tuple[int, ...], FloatArray]:
    """Tables that read the same decisions, added up; the order of decisions is that of the space.

    What reads a part of what another one reads stays by itself.
    """
    merged: dict[tuple[int, ...], FloatArray] = {}
    for table in tables:
        merged[table.reads] = merged.get(table.reads, 0.0) + table.prices
    return merged
