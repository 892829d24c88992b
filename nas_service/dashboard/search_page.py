"""Searches: the list, and a search with its front, candidates and winners."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from nas_service.access.identity import Rule
from nas_service.api import again, insights, measuring, searches
from nas_service.api import candidates as of_candidates
from nas_service.api.access.rules import allow
from nas_service.api.again import ExtendIn
from nas_service.api.candidates import Opened
from nas_service.api.dependencies import Paging, With
from nas_service.api.documents.searches import SpecOut
from nas_service.api.documents.winners import FrontOut, WinnerOut
from nas_service.api.insights import DecisionImportance
from nas_service.api.search_requests import MAX_QUERIES, asked_of
from nas_service.dashboard import formats
from nas_service.dashboard.curve import curve_of
from nas_service.dashboard.formats import Scale
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.dashboard.search_facts import (
    Download,
    best_published,
    class_lines,
    facts_of,
    quantity_lines,
    stage_cells,
    steadiness_of,
    winner_lines,
)
from nas_service.search.candidate_set import SCORE
from nas_service.search.certificate import PREDICTED_ONLY, UNDECIDED
from nas_service.search.selection import KEEPS_LIMITS
from nas_service.storage import artifacts
from nas_service.storage.searches import FINAL

router = APIRouter(route_class=PageRoute, include_in_schema=False)
ROWS = 50
"""Candidates that a page shows at once."""
_FORM_BYTES = 64 * 1024
_N_IMPORTANT = 8


@dataclass(frozen=True)
class View:
    """What a page of a search shows, as its address says it: it can be sent to somebody else."""

    x: str
    y: str
    colour: str
    scale: str
    feasible: bool
    sort: str
    start: int
    limits: dict[str, float]

    @classmethod
    def of(cls, query: dict[str, str]) -> View:
        """From the query of an address; what cannot be is left at its default."""
        limits = {}
        for name, text in query.items():
            if name.startswith("max.") and (value := _number(text)) is not None:
                limits[name.removeprefix("max.")] = value
        start = query.get("start", "0")
        return cls(
            x=query.get("x", "latency_ms"),
            y=query.get("y", SCORE),
            colour=query.get("colour", ""),
            scale=query.get("scale", "linear"),
            feasible=query.get("feasible") == "1",
            sort=query.get("sort", f"-{SCORE}"),
            start=int(start) if start.isdecimal() and len(start) < 12 else 0,
            limits=limits,
        )

    @property
    def where(self) -> list[str]:
        """What the view leaves out, as conditions: files of it have the same candidates."""
        limits = [f"{name}<={value!r}" for name, value in self.limits.items()]
        return [*limits, *([f"{KEEPS_LIMITS}=True"] if self.feasible else [])]

    def href(self, **changed: Any) -> str:
        """The address of the same view with something changed."""
        values = {
            "x": self.x,
            "y": self.y,
            "colour": self.colour,
            "scale": self.scale,
            "feasible": "1" if self.feasible else "",
            "sort": self.sort,
            **{f"max.{name}": repr(value) for name, value in self.limits.items()},
            **changed,
        }
        return "?" + urlencode({name: value for name, value in values.items() if value != ""})


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head: where it leads, and whether the table is sorted by it."""

    text: str
    href: str
    number: bool
    sorted: str | None


@dataclass(frozen=True, slots=True)
class Limit:
    """A quantity that a view can limit, between the least and the greatest there is."""

    name: str
    value: float | None
    low: float
    high: float


@router.get("/searches")
@allow(Rule.READ)
def list_searches(request: Request, with_: With, bounds: Paging) -> Response:
    """All searches, newest first."""
    found = searches.list_searches(with_, bounds)
    return page(request, "searches.html", searches=found.items, next_cursor=found.next_cursor)


@router.get("/searches/{search_id}")
@allow(Rule.READ)
def show(request: Request, search_id: str, with_: With) -> Response:
    """One search."""
    search = searches.get_search(search_id, with_)
    winners = searches.winners(search_id, with_)
    trails = searches.lineage_of(search_id, with_)
    opened = of_candidates.opened_search(with_, search_id)
    front = searches.newest_front(with_, search_id)
    scale = Scale.of(front.metric_scale)
    view = _known(View.of(dict(request.query_params)), opened)
    with with_.database.session() as session:
        kept = artifacts.artifacts_of(session, search_id)
    return page(
        request,
        "search.html",
        search=search,
        ended=search.state in FINAL,
        open_verdicts=_open_verdicts(winners),
        facts=list(facts_of(search)),
        steadiness=steadiness_of(search),
        progress=searches.progress(search_id, with_),
        clone_href=clone_href(search.spec),
        scale=scale,
        front_note=_front_note(front),
        card=formats.predictor_card(front.predictor),
        winners=list(winner_lines(winners, scale)),
        best_file=best_published(winners, scale),
        quantity_lines=list(quantity_lines(winners)),
        classes=list(class_lines(winners)),
        metric=formats.heading(search.spec.metric),
        downloads=[Download(one.name, one.id) for one in kept],
        curve=curve_of(insights.history(search_id, with_)),
        importance=_importance(opened),
        trails=[(one, stage_cells(one, scale)) for one in trails],
        **_candidates(opened, view),
    )


@router.post("/searches/{search_id}/cancel")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def cancel(search_id: str, with_: With) -> Response:
    """Ask a search to end, and show it."""
    searches.cancel(search_id, with_)
    return RedirectResponse(f"/searches/{search_id}", status_code=303)


@router.post("/searches/{search_id}/measure")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def measure(search_id: str, with_: With) -> Response:
    """Measure again what has no verdict, and show it."""
    measuring.measure_winners(search_id, with_, Response())
    return RedirectResponse(f"/searches/{search_id}", status_code=303)


@router.post("/searches/{search_id}/rerun")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def rerun(search_id: str, with_: With) -> Response:
    """Start the same search again, and show the new one."""
    made = again.clone(search_id, with_, Response())
    return RedirectResponse(f"/searches/{made.id}", status_code=303)


@router.post("/searches/{search_id}/extend")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def extend(
    search_id: str, with_: With, n_queries: Annotated[int, Form(ge=1, le=MAX_QUERIES)]
) -> Response:
    """Spend more queries, and show the search that does."""
    made = again.extend(search_id, ExtendIn(n_queries=n_queries), with_, Response())
    return RedirectResponse(f"/searches/{made.id}", status_code=303)


def clone_href(spec: SpecOut) -> str:
    """The form for a search, filled as this one was asked for."""
    values: dict[str, Any] = {}
    for name, value in asked_of(spec.model_dump()).items():
        if name == "training":
            values |= {f"training.{key}": one for key, one in value.items() if one is not None}
        elif name == "limits":
            values[name] = ",".join(f"{key}={one!r}" for key, one in value.items())
        elif name == "rules":
            values[name] = json.dumps(value) if value else ""
        elif isinstance(value, list):
            values[name] = ",".join(map(str, value))
        elif value is not None:
            values[name] = value
    given = {name: value for name, value in values.items() if value != "" and value is not False}
    return "/searches/new?" + urlencode(given)


def _importance(opened: Opened) -> list[tuple[DecisionImportance, float]]:
    """The decisions that matter most to the score, each with its share for latency."""
    if not len(opened.candidates):
        return []
    cost = {one.name: one.share for one in insights.important(opened, "latency_ms").decisions}
    most = insights.important(opened, SCORE).decisions[:_N_IMPORTANT]
    return [(one, cost[one.name]) for one in most]


def _front_note(front: FrontOut) -> str:
    if not front.revision:
        return "No points yet."
    return (
        f"Revision {front.revision}: {len(front.front)} predicted front points of "
        f"{front.n_evaluations} queries, {len(front.measured)} measured files."
    )


def _open_verdicts(winners: Sequence[WinnerOut]) -> bool:
    rows = [row for one in winners for row in one.results]
    return any(row.verdict in {UNDECIDED, PREDICTED_ONLY} for row in rows)


def _known(view: View, opened: Opened) -> View:
    """The view with columns that there are: an address may be of another search."""
    names = set(opened.candidates.values)
    sort = view.sort.removeprefix("-")
    return View(
        x=view.x if view.x in names else "latency_ms",
        y=view.y if view.y in names else SCORE,
        colour=view.colour if view.colour in names else "",
        scale=view.scale if view.scale in {"linear", "log"} else "linear",
        feasible=view.feasible,
        sort=view.sort if sort in names or sort == "index" else f"-{SCORE}",
        start=view.start,
        limits={name: value for name, value in view.limits.items() if name in names},
    )


def _candidates(opened: Opened, view: View) -> dict[str, Any]:
    """The part of a search's page about its candidates."""
    found, columns = opened.candidates, opened.columns
    quantities = [name for name in found.values if name != SCORE]
    among = columns.matching(view.where)
    rows = columns.ordered(among.nonzero()[0], view.sort)
    part = rows[view.start : view.start + ROWS]
    heads = [_head(view, "candidate", "index", number=False), Head("precision", "?", False, None)]
    heads.append(_head(view, SCORE, SCORE, number=True))
    heads += [_head(view, name, name, number=True) for name in quantities]
    heads += [Head(name, view.href(), False, None) for name in ("limits", "on front", "winner")]
    api = f"/v1/searches/{opened.search.id}/candidates"
    asked = urlencode([("sort", view.sort), *(("where", one) for one in view.where)])
    more = view.start + ROWS < len(rows)
    cost = "latency_ms" if view.x == SCORE else view.x
    return {
        "view": view,
        "columns": list(found.values),
        "quantities": quantities,
        "limits": [
            Limit(
                name,
                view.limits.get(name),
                float(found.values[name].min()) if len(found) else 0.0,
                float(found.values[name].max()) if len(found) else 0.0,
            )
            for name in quantities
        ],
        "advice": of_candidates.advised(opened, cost, view.where),
        "candidates": {
            "n_candidates": len(found),
            "n_matching": len(rows),
            "items": [opened.out(row) for row in part.tolist()],
        },
        "heads": heads,
        "more_href": view.href(start=view.start + ROWS) if more else None,
        "api_href": f"{api}?{asked}",
        "csv_href": f"/searches/{opened.search.id}/candidates.csv?{asked}",
    }


def _head(view: View, text: str, column: str, *, number: bool) -> Head:
    """A head that sorts by its column, the other way round where that is done already."""
    falls = view.sort == f"-{column}"
    rises = view.sort == column
    href = view.href(sort=column if falls else f"-{column}")
    return Head(text, href, number, "descending" if falls else "ascending" if rises else None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and abs(value) < 1e300 else None  # NaN is not itself
