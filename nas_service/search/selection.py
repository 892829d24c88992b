"""Choosing among candidates: conditions, orders, a thinned cloud, the knee of a front."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.search.candidate_set import SCORE, CandidateSet
from nas_service.search.pareto import BoolArray
from nas_service.space.base import Decision, FloatArray, IntArray

DEPLOYMENT = "precision"
KEEPS_LIMITS = "keeps_limits"
_UPPER = "upper."
_CONDITION = re.compile(r"^([^<>=!]+?)\s*(<=|>=|!=|=|<|>)\s*(.+)$")


@dataclass(frozen=True)
class Columns:
    """Candidates by names that people use: quantities, the score, decisions and the precision."""

    candidates: CandidateSet
    decisions: Sequence[Decision]
    deployments: Sequence[str]

    def number(self, name: str) -> FloatArray:
        """The column of a quantity, `score`, or `upper.QUANTITY`, `(n,)`; raises `InvalidSpec`."""
        found = self.candidates.values.get(name)
        if found is None and name.startswith(_UPPER):
            found = self.candidates.uppers.get(name.removeprefix(_UPPER))
        if found is None:
            known = [*self.candidates.values, *(f"{_UPPER}{one}" for one in self.candidates.uppers)]
            raise InvalidSpec(
                f"candidates have no {name!r}; known: {', '.join(known)}",
                field="name",
                known_names=known,
            )
        return found

    def matching(self, conditions: Sequence[str]) -> BoolArray:
        """Rows that meet all conditions, as `latency_ms<=5` or `precision=int8`: `(n,)`."""
        found = np.ones(len(self.candidates), dtype=np.bool_)
        for one in conditions:
            found &= self._meets(one)
        return found

    def ordered(self, rows: IntArray, by: str) -> IntArray:
        """Rows by a column, from the highest where the name begins with a dash; ties by row."""
        name, falls = by.removeprefix("-"), by.startswith("-")
        if name == "index":
            return np.asarray(rows[::-1] if falls else rows)
        values = self.number(name)[rows]
        return np.asarray(rows[np.argsort(-values if falls else values, kind="stable")])

    def _meets(self, condition: str) -> BoolArray:
        match = _CONDITION.match(condition.strip())
        if match is None:
            raise InvalidSpec(
                f"where: {condition!r} is no condition such as latency_ms<=5 or precision=int8",
                field="where",
            )
        name, sign, value = match.groups()
        by_name = {one.name: i for i, one in enumerate(self.decisions)}
        if name == DEPLOYMENT:
            return _chosen(self.candidates.deployments, self.deployments, name, sign, value)
        if name == KEEPS_LIMITS:
            kept = self.candidates.keeps_limits.astype(np.int64)
            return _chosen(kept, ("False", "True"), name, sign, value)
        if name in by_name:
            position = by_name[name]
            texts = [str(one) for one in self.decisions[position].values]
            return _chosen(self.candidates.architectures[:, position], texts, name, sign, value)
        try:
            limit = float(value)
        except ValueError as error:
            raise InvalidSpec(f"where: {value!r} of {name} is no number", field="where") from error
        return _compared(self.number(name), sign, limit)


def _chosen(
    positions: IntArray, texts: Sequence[str], name: str, sign: str, value: str
) -> BoolArray:
    if sign not in {"=", "!="}:
        raise InvalidSpec(f"where: {name} is compared by = or !=, not {sign}", field="where")
    if value not in texts:
        raise InvalidSpec(
            f"where: {name} is never {value!r}; known: {', '.join(texts)}", field="where"
        )
    same = positions == list(texts).index(value)
    return np.asarray(same if sign == "=" else ~same)


def _compared(values: FloatArray, sign: str, limit: float) -> BoolArray:
    match sign:
        case "<=":
            found = values <= limit
        case ">=":
            found = values >= limit
        case "<":
            found = values < limit
        case ">":
            found = values > limit
        case "=":
            found = values == limit
        case _:
            found = values != limit
    return np.asarray(found)


def thinned(
    x: FloatArray, y: FloatArray, always: BoolArray, most: int
) -> tuple[IntArray, IntArray]:
    """Rows that show a cloud of `(n,)` points in a plot, and how many points each stands for.

    The plane is cut into cells, each shown by its first point; cells are made larger until at
    most `most` points are left. Rows of `always` are kept, however many.
    """
    n = len(x)
    if n <= most:
        return np.arange(n), np.ones(n, dtype=np.int64)
    side = int(np.sqrt(2 * most))
    while True:
        cells = _cells(x, side) * side + _cells(y, side)
        _, first, counts = np.unique(cells, return_index=True, return_counts=True)
        if len(first) <= most or side == 1:
            break
        side = max(1, int(side * np.sqrt(most / len(first)) * 0.95))
    counted = dict(zip(first.tolist(), counts.tolist(), strict=True))
    rows = np.union1d(first, np.flatnonzero(always))
    return rows, np.array([counted.get(row, 1) for row in rows.tolist()], dtype=np.int64)


def _cells(values: FloatArray, side: int) -> IntArray:
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.zeros(len(values))
    return np.minimum((scaled * side).astype(np.int64), side - 1)


def knee(cost: FloatArray, score: FloatArray) -> int | None:
    """The row of a front after which more cost buys least: the one farthest above its chord.

    Costs are taken as logarithms, both axes from 0 to 1 (Satopaa et al., 2011, for a curve that
    rises and bends down). None for fewer than three points, and where none is above the chord.
    """
    if len(cost) < 3:
        return None
    x = _unit(np.log(np.maximum(cost, 1e-12)))
    above = _unit(score) - x
    best = int(np.argmax(above))
    return best if above[best] > 1e-9 else None


def _unit(values: FloatArray) -> FloatArray:
    spread = float(np.ptp(values))
    return np.asarray((values - values.min()) / spread if spread > 0 else np.zeros(len(values)))


@dataclass(frozen=True, slots=True)
class Step:
    """From one member of a front to the next dearer one: what it costs and what it gives."""

    row: int
    next_row: int
    more_cost: float
    more_score: float

    @property
    def score_per_cost(self) -> float:
        """What one more unit of cost buys there."""
        return self.more_score / self.more_cost


def steps(rows: IntArray, cost: FloatArray, score: FloatArray) -> list[Step]:
    """Along a front by cost, past members that a cheaper one is as good as; each with its gain."""
    order = np.lexsort((-score, cost))
    found: list[Step] = []
    last: Any = None
    for k in order.tolist():
        if last is not None and score[k] <= score[last]:
            continue
        if last is not None:
            more = float(cost[k] - cost[last])
            gain = float(score[k] - score[last])
            if more > 0:
                found.append(Step(int(rows[last]), int(rows[k]), more, gain))
        last = k
    return found


def best(candidates: CandidateSet, among: BoolArray) -> int | None:
    """The row of the best score among some, the fastest of equals; None where there is none."""
    rows = np.flatnonzero(among & candidates.keeps_limits)
    if not len(rows):
        return None
    score = candidates.values[SCORE][rows]
    latency = candidates.values["latency_ms"][rows]
    return int(rows[np.lexsort((latency, -score))[0]])
