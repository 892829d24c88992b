"""A candidate: its network, its variants side by side, what is near it, what was measured."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from nas_service.access.identity import Rule
from nas_service.api import searches
from nas_service.api.access.rules import allow
from nas_service.api.candidate_blocks import blocks_at
from nas_service.api.candidate_devices import costs_on_devices
from nas_service.api.candidates import (
    CandidateOut,
    Opened,
    Where,
    matching,
    opened_search,
    row_of,
)
from nas_service.api.dependencies import With
from nas_service.dashboard import formats
from nas_service.dashboard.diagram import diagram_of
from nas_service.dashboard.formats import Scale
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.dashboard.search_facts import WinnerLine, winner_lines
from nas_service.search.candidate_set import SCORE

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_N_NEAREST = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """The architecture in one deployment, with the line of its measured file."""

    candidate: CandidateOut
    line: WinnerLine | None


@dataclass(frozen=True, slots=True)
class Near:
    """A candidate that differs in few decisions, and in which."""

    candidate: CandidateOut
    differs: str


@router.get("/searches/{search_id}/candidates.csv")
@allow(Rule.READ)
def as_csv(
    search_id: str,
    with_: With,
    where: Where = [],  # noqa: B006  # FastAPI copies it
    sort: Annotated[str, Query(max_length=64)] = "index",
) -> Response:
    """All candidates that meet the conditions, as a file for spreadsheets."""
    opened = opened_search(with_, search_id)
    found, columns = opened.candidates, opened.columns
    rows = columns.ordered(np.flatnonzero(matching(opened, where)), sort)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    decisions = [one.name for one in columns.decisions]
    bounds = [f"{name}_upper" for name in found.uppers]
    writer.writerow(
        ["index", "precision", *found.values, *bounds, "keeps_limits", "on_front", *decisions]
    )
    for row in rows.tolist():
        values = [one[row] for one in (*found.values.values(), *found.uppers.values())]
        architecture = [
            one.values[k]
            for one, k in zip(columns.decisions, found.architectures[row].tolist(), strict=True)
        ]
        writer.writerow(
            [
                row,
                columns.deployments[int(found.deployments[row])],
                *(f"{one:.7g}" for one in values),
                bool(found.keeps_limits[row]),
                bool(found.on_front[row]),
                *architecture,
            ]
        )
    headers = {"Content-Disposition": f'attachment; filename="{opened.search.id}.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


@router.get("/searches/{search_id}/candidates/{index}")
@allow(Rule.READ)
def show(request: Request, search_id: str, index: int, with_: With) -> Response:
    """One candidate."""
    opened = opened_search(with_, search_id)
    row = row_of(opened, index)
    candidate = opened.out(row)
    told = searches.get_search(search_id, with_)
    scale = Scale.of(searches.newest_front(with_, search_id).metric_scale)
    winners = searches.winners(search_id, with_)
    lines = {(one.rank, one.precision): one for one in winner_lines(winners, scale)}
    blocks = blocks_at(with_, opened, row)
    own = [one.share for one in blocks.costs if one.precision == candidate.precision]
    share = own[0] if own else blocks.costs[0].share if blocks.costs else None
    return page(
        request,
        "candidate.html",
        search_id=search_id,
        candidate=candidate,
        metric=formats.heading(told.spec.metric),
        scale=scale,
        quantities=[one for one in opened.candidates.values if one != SCORE],
        variants=[
            Variant(one, None if one.winner is None else lines.get((one.winner, one.precision)))
            for one in _variants(opened, row)
        ],
        blocks=blocks,
        elsewhere=costs_on_devices(with_, opened, row),
        diagram=diagram_of(blocks.blocks, share),
        nearest=_nearest(opened, row),
    )


def _variants(opened: Opened, row: int) -> list[CandidateOut]:
    found = opened.candidates
    same = (found.architectures == found.architectures[row]).all(axis=1)
    return [opened.out(one) for one in np.flatnonzero(same).tolist()]


def _nearest(opened: Opened, row: int) -> list[Near]:
    """Candidates in the same deployment that differ in the fewest decisions, the best first."""
    found, decisions = opened.candidates, opened.columns.decisions
    differs = found.architectures != found.architectures[row]
    apart = differs.sum(axis=1)
    others = (found.deployments == found.deployments[row]) & (apart > 0)
    rows = np.flatnonzero(others)
    order = np.lexsort((-found.values[SCORE][rows], apart[rows]))[:_N_NEAREST]
    near = []
    for one in rows[order].tolist():
        told = [
            f"{decision.name} {decision.values[int(found.architectures[one, k])]}"
            for k, decision in enumerate(decisions)
            if differs[one, k]
        ]
        more = f" and {len(told) - 4} more" if len(told) > 4 else ""
        near.append(Near(opened.out(one), ", ".join(told[:4]) + more))
    return near
