"""Candidates on parallel axes: a line each, narrowed by an interval on any axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request, Response

from nas_service.access.identity import Rule
from nas_service.api import insights
from nas_service.api.access.rules import allow
from nas_service.api.candidates import Opened, opened_search
from nas_service.api.dependencies import With
from nas_service.dashboard.formats import significant
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.search.candidate_set import SCORE
from nas_service.search.selection import thinned
from nas_service.space.base import FloatArray, IntArray

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST_LINES = 400
_N_DECISIONS = 8
_BY_POWERS = 8.0
_ACROSS, _TOP, _TALL, _SIDE = 110, 54, 300, 60


@dataclass(frozen=True, slots=True)
class Axis:
    """A column: where it is, what its ends stand for, and the interval that is asked for."""

    name: str
    x: int
    low: float
    high: float
    low_text: str
    high_text: str
    least: float | None
    most: float | None
    log: bool
    """By powers, where quantities are of several orders."""
    texts: tuple[str, ...] = ()
    """Of a decision: its values, at the positions 0, 1, ... of its axis."""

    @property
    def heading(self) -> tuple[str, str]:
        """The name in two lines: decisions are named by where they are, and what they are."""
        before, _, after = self.name.rpartition(".")
        return before, after

    def y_of(self, values: FloatArray) -> FloatArray:
        """Where values are drawn: the highest on top."""
        if self.high <= self.low:
            return np.full(len(values), _TOP + 0.5 * _TALL)
        ends = np.array([self.low, self.high])
        shown, (low, high) = (np.log(values), np.log(ends)) if self.log else (values, ends)
        return np.asarray(_TOP + (high - shown) / (high - low) * _TALL)

    def takes(self, values: FloatArray) -> FloatArray:
        """Which values are within the interval."""
        found = np.ones(len(values), dtype=bool)
        if self.least is not None:
            found &= values >= self.least - 1e-12
        if self.most is not None:
            found &= values <= self.most + 1e-12
        return np.asarray(found)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A candidate as a line."""

    index: int
    points: str
    front: bool
    off: bool


@router.get("/searches/{search_id}/axes")
@allow(Rule.READ)
def show(request: Request, search_id: str, with_: With) -> Response:
    """Score, quantities and the decisions that matter most; `least.NAME` and `most.NAME` narrow."""
    opened = opened_search(with_, search_id)
    asked = dict(request.query_params)
    rows = _rows(opened)
    columns = _columns(opened, rows)
    axes = [_axis(name, i, column, texts, asked) for i, (name, column, texts) in enumerate(columns)]
    return page(
        request,
        "axes.html",
        search_id=search_id,
        axes=axes,
        lines=_drawn(opened, rows, axes, [column for _, column, _ in columns]),
        width=2 * _SIDE + _ACROSS * max(0, len(axes) - 1),
        height=_TOP + _TALL + 30,
        top=_TOP,
        tall=_TALL,
        n_candidates=len(opened.candidates),
    )


def _rows(opened: Opened) -> IntArray:
    """The front and an even choice of the others."""
    found = opened.candidates
    if not len(found):
        return np.empty(0, dtype=np.int64)
    kept, _ = thinned(found.values["latency_ms"], found.values[SCORE], found.on_front, MOST_LINES)
    return np.asarray(kept)


def _columns(opened: Opened, rows: IntArray) -> list[tuple[str, FloatArray, Sequence[str] | None]]:
    found, decisions = opened.candidates, opened.columns.decisions
    columns: list[tuple[str, FloatArray, Sequence[str] | None]] = [
        (name, values[rows], None) for name, values in found.values.items()
    ]
    if not len(found):
        return columns
    by_name = {one.name: k for k, one in enumerate(decisions)}
    for one in insights.important(opened, SCORE).decisions[:_N_DECISIONS]:
        k = by_name[one.name]
        texts = [str(value) for value in decisions[k].values]
        columns.append((one.name, found.architectures[rows, k].astype(np.float64), texts))
    return columns


def _axis(
    name: str, place: int, column: FloatArray, texts: Sequence[str] | None, asked: dict[str, str]
) -> Axis:
    low, high = (float(column.min()), float(column.max())) if len(column) else (0.0, 1.0)

    def text(value: float) -> str:
        return significant(value) if texts is None else texts[int(value)]

    return Axis(
        name=name,
        x=_SIDE + _ACROSS * place,
        low=low,
        high=high,
        low_text=text(low) if len(column) else "",
        high_text=text(high) if len(column) else "",
        least=_number(asked.get(f"least.{name}", "")),
        most=_number(asked.get(f"most.{name}", "")),
        log=texts is None and low > 0.0 and high > _BY_POWERS * low,
        texts=() if texts is None else tuple(texts),
    )


def _drawn(
    opened: Opened, rows: IntArray, axes: Sequence[Axis], columns: Sequence[FloatArray]
) -> list[Drawn]:
    if not len(rows):
        return []
    heights = np.stack([axis.y_of(column) for axis, column in zip(axes, columns, strict=True)])
    taken = np.logical_and.reduce(
        [axis.takes(column) for axis, column in zip(axes, columns, strict=True)]
    )
    front = opened.candidates.on_front[rows]
    order = np.argsort(front, kind="stable")  # the front is drawn over the others
    return [
        Drawn(
            index=int(rows[i]),
            points=" ".join(f"{axis.x},{heights[k, i]:.1f}" for k, axis in enumerate(axes)),
            front=bool(front[i]),
            off=not bool(taken[i]),
        )
        for i in order.tolist()
    ]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
