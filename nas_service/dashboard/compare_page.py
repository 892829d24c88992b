"""Several candidates side by side, or two fronts: what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nas_service.access.identity import Rule
from nas_service.api import insights, searches
from nas_service.api.access.rules import allow
from nas_service.api.candidates import CandidateOut, opened_search, row_of
from nas_service.api.dependencies import Services, With
from nas_service.api.documents.searches import DiffMember
from nas_service.dashboard.formats import Scale, metric_name, significant
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.dashboard.search_facts import WinnerLine, winner_lines
from nas_service.errors import InvalidSpec

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST = 12
"""Candidates that fit beside each other."""


@dataclass(frozen=True, slots=True)
class Column:
    """A candidate of a search, and its file where one was made."""

    search_id: str
    candidate: CandidateOut
    metric: str
    scale: Scale
    line: WinnerLine | None


@dataclass(frozen=True, slots=True)
class Line:
    """What is compared, a text a candidate; `differs` where they are not all the same."""

    name: str
    texts: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether it tells them apart."""
        return len(set(self.texts)) > 1


@router.get("/compare")
@allow(Rule.READ)
def compare(
    request: Request,
    with_: With,
    candidates: Annotated[list[str] | None, Query(alias="c", max_length=64)] = None,
    fronts: Annotated[list[str] | None, Query(alias="front", max_length=8)] = None,
    everything: Annotated[bool, Query(alias="all")] = False,
) -> Response:
    """Candidates as `c=SEARCH:INDEX`, or the fronts of two searches as `front=SEARCH`."""
    if fronts:
        return _fronts(request, with_, fronts)
    named = list(dict.fromkeys(candidates or []))
    if len(named) > MOST:
        raise InvalidSpec(f"c: at most {MOST} candidates, not {len(named)}", field="c")
    columns = [_column(with_, one) for one in named]
    lines = list(_lines(columns))
    return page(
        request,
        "compare.html",
        columns=columns,
        lines=lines if everything else [one for one in lines if one.differs],
        n_same=sum(not one.differs for one in lines),
        everything=everything,
        href="&".join(f"c={one.search_id}:{one.candidate.index}" for one in columns),
    )


def _column(with_: Services, text: str) -> Column:
    search_id, colon, index = text.rpartition(":")
    if not colon or not index.isdecimal() or len(index) > 9:
        raise InvalidSpec(f"c: {text!r} is not SEARCH:INDEX", field="c")
    opened = opened_search(with_, search_id)
    found = opened.out(row_of(opened, int(index)))
    scale = Scale.of(searches.newest_front(with_, search_id).metric_scale)
    files = {
        (one.rank, one.precision): one
        for one in winner_lines(searches.winners(search_id, with_), scale)
    }
    line = None if found.winner is None else files.get((found.winner, found.precision))
    return Column(search_id, found, metric_name(opened.search.value.metric), scale, line)


def _lines(columns: Sequence[Column]) -> Iterator[Line]:
    def line(name: str, text: Callable[[Column], str]) -> Line:
        return Line(name, tuple(map(text, columns)))

    def yes(value: bool) -> str:
        return "yes" if value else "no"

    yield line("Search", lambda one: one.search_id)
    yield line("Precision", lambda one: one.candidate.precision)
    yield line("Predicted", lambda one: f"{one.metric} {one.scale.text(one.candidate.score)}")
    yield line("Measured", lambda one: one.line.measured if one.line else "not measured")
    for name in dict.fromkeys(name for one in columns for name in one.candidate.estimates):
        yield line(name, partial(_estimate, name=name))
    yield line("Measured latency, ms", lambda one: one.line.latency if one.line else "not measured")
    yield line("Keeps every limit", lambda one: yes(one.candidate.keeps_limits))
    yield line("On the predicted front", lambda one: yes(one.candidate.on_front))
    yield line("Verdict", lambda one: one.line.verdict if one.line else "")
    for name in dict.fromkeys(name for one in columns for name in one.candidate.architecture):
        yield line(name, partial(_choice, name=name))


def _choice(one: Column, name: str) -> str:
    return str(one.candidate.architecture.get(name, ""))


def _estimate(one: Column, name: str) -> str:
    found = one.candidate.estimates.get(name)
    if found is None:
        return "unknown"
    return f"{significant(found.value)} (at most {significant(found.upper)})"


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A member that one front has and the other has not."""

    precision: str
    predicted: str
    latency: str
    decisions: str


def _fronts(request: Request, with_: With, names: Sequence[str]) -> Response:
    if len(names) != 2:
        raise InvalidSpec(f"front: two searches are compared, not {len(names)}", field="front")
    first, second = (searches.get_search(name, with_) for name in names)
    found = insights.differences(first.id, second.id, with_)
    scale = Scale.of(searches.newest_front(with_, second.id).metric_scale)
    gain = found.best_accuracy_gain
    return page(
        request,
        "compare_fronts.html",
        first=first,
        second=second,
        found=found,
        gain="unknown" if gain is None else scale.gain(gain),
        entered=[_member(one, scale) for one in found.entered],
        left=[_member(one, scale) for one in found.left],
    )


def _member(one: DiffMember, scale: Scale) -> MemberLine:
    decisions = {} if one.architecture is None else one.architecture.decisions
    told = ", ".join(f"{name} {value}" for name, value in decisions.items())
    latency = significant(one.predicted_latency_ms)
    return MemberLine(one.precision, scale.text(one.predicted_accuracy), latency, told)
