"""All candidates of a search: sorted, filtered, thinned for a plot, and which to look at first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Services, With
from nas_service.api.documents.base import Decisions, Estimate
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import InvalidSpec, NotFound
from nas_service.search.candidate_set import SCORE, CandidateSet
from nas_service.search.selection import Columns, best, knee, steps, thinned
from nas_service.space.base import FloatArray, SearchSpace, describe
from nas_service.storage import datasets, front_revisions, searches
from nas_service.storage.blobs import BlobStore
from nas_service.storage.searches import StoredSearch
from nas_service.storage.spaces import open_space

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["candidates"])
_N_KEPT = 8
"""Sets of candidates that are kept in memory: 50,000 take about 6 MB."""
Where = Annotated[
    list[str],
    Query(description="Conditions, as latency_ms<=5, precision=int8, upper.size_bytes<1e6."),
]


class CandidateOut(BaseModel):
    """An architecture in one deployment with what is expected of it; nothing here was measured."""

    index: int = Field(description="Its number in the search, which it keeps.")
    architecture: Decisions = Field(description="Values by decision.")
    precision: str
    score: float = Field(description="Predicted; the accuracy itself where that is the metric.")
    score_std: float
    estimates: dict[str, Estimate]
    keeps_limits: bool
    on_front: bool
    winner: int | None = Field(description="Its rank, where it was taken as a winner.")


class CandidatesOut(BaseModel):
    """A page of a search's candidates."""

    revision: int
    n_candidates: int
    n_matching: int
    items: list[CandidateOut]
    next_cursor: str | None


class CloudOut(BaseModel):
    """Points of a plot as columns; `stands_for` says how many each is shown for."""

    revision: int
    n_candidates: int
    n_matching: int
    x: list[float]
    y: list[float]
    colour: list[float] | None
    index: list[int]
    stands_for: list[int]
    precision: list[int] = Field(description="Positions in `precisions`.")
    precisions: list[str]
    keeps_limits: list[bool]


class StepOut(BaseModel):
    """From one member of the front to the next dearer one."""

    index: int
    next_index: int
    more_cost: float
    more_score: float
    score_per_cost: float


class AdviceOut(BaseModel):
    """Which member of the front to look at first: by predictions, before anything is measured."""

    cost: str
    knee: int | None = Field(description="After which more cost buys least.")
    best: int | None = Field(description="The best that meets the conditions.")
    steps: list[StepOut]


@dataclass(frozen=True)
class Opened:
    """A search with its candidates and what their columns mean."""

    search: StoredSearch
    space: SearchSpace | None
    columns: Columns
    revision: int
    sha256: str
    winners: Mapping[tuple[int, ...], int]

    @property
    def candidates(self) -> CandidateSet:
        """The columns themselves."""
        return self.columns.candidates

    def out(self, row: int) -> CandidateOut:
        """A candidate as it is sent."""
        found = self.candidates
        assert self.space is not None, "there are candidates"
        architecture = found.architectures[row]
        return CandidateOut(
            index=row,
            architecture=describe(self.space, architecture)["decisions"],
            precision=self.columns.deployments[int(found.deployments[row])],
            score=float(found.values[SCORE][row]),
            score_std=float(found.score_std[row]),
            estimates={
                name: Estimate(value=float(found.values[name][row]), upper=float(upper[row]))
                for name, upper in found.uppers.items()
            },
            keeps_limits=bool(found.keeps_limits[row]),
            on_front=bool(found.on_front[row]),
            winner=self.winners.get(tuple(architecture.tolist())),
        )


@router.get("/searches/{search_id}/candidates")
@allow(Rule.READ)
def list_candidates(
    search_id: str,
    with_: With,
    where: Where = [],  # noqa: B006  # FastAPI copies it
    sort: Annotated[str, Query(max_length=64, description="A column; -column: highest first.")] = (
        "index"
    ),
    front: Annotated[bool, Query(description="Members of the predicted front alone.")] = False,
    cursor: Annotated[int | None, Query(ge=0, description="From next_cursor.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> CandidatesOut:
    """All candidates of the newest front, dominated ones among them."""
    opened = opened_search(with_, search_id)
    rows = np.flatnonzero(matching(opened, where, front=front))
    rows = opened.columns.ordered(rows, sort)
    start = cursor or 0
    part = rows[start : start + limit]
    more = start + limit < len(rows)
    return CandidatesOut(
        revision=opened.revision,
        n_candidates=len(opened.candidates),
        n_matching=len(rows),
        items=[opened.out(row) for row in part.tolist()],
        next_cursor=str(start + limit) if more else None,
    )


@router.get("/searches/{search_id}/cloud")
@allow(Rule.READ)
def cloud(
    search_id: str,
    with_: With,
    x: Annotated[str, Query(max_length=64)] = "latency_ms",
    y: Annotated[str, Query(max_length=64)] = SCORE,
    colour: Annotated[str | None, Query(max_length=64)] = None,
    where: Where = [],  # noqa: B006
    most: Annotated[int, Query(ge=1, le=20_000, description="Points at most.")] = 2500,
) -> CloudOut:
    """Candidates as points, thinned evenly over the plane; ask for a part of it to see more."""
    opened = opened_search(with_, search_id)
    columns, among = opened.columns, matching(opened, where)
    horizontal, vertical = columns.number(x), columns.number(y)
    third = None if colour is None else columns.number(colour)
    rows = np.flatnonzero(among)
    found = opened.candidates
    kept, counts = thinned(_as_shown(horizontal[rows]), vertical[rows], found.on_front[rows], most)
    shown = rows[kept]
    return CloudOut(
        revision=opened.revision,
        n_candidates=len(found),
        n_matching=len(rows),
        x=_short(horizontal[shown]),
        y=_short(vertical[shown]),
        colour=None if third is None else _short(third[shown]),
        index=shown.tolist(),
        stands_for=counts.tolist(),
        precision=found.deployments[shown].tolist(),
        precisions=list(columns.deployments),
        keeps_limits=found.keeps_limits[shown].tolist(),
    )


@router.get("/searches/{search_id}/advice")
@allow(Rule.READ)
def advice(
    search_id: str,
    with_: With,
    cost: Annotated[str, Query(max_length=64)] = "latency_ms",
    where: Where = [],  # noqa: B006
) -> AdviceOut:
    """The front's knee, the best candidate within a budget, and what more of a cost buys."""
    opened = opened_search(with_, search_id)
    return advised(opened, cost, where)


@router.get("/searches/{search_id}/candidates/{index}")
@allow(Rule.READ)
def get_candidate(search_id: str, index: int, with_: With) -> CandidateOut:
    """One candidate, by its number in the search."""
    opened = opened_search(with_, search_id)
    return opened.out(row_of(opened, index))


def row_of(opened: Opened, index: int) -> int:
    """The row of that number; `NotFound` where there is none."""
    if not 0 <= index < len(opened.candidates):
        if not len(opened.candidates):
            raise NotFound(f"search {opened.search.id} is {opened.search.state}: no candidates")
        last = len(opened.candidates) - 1
        raise NotFound(f"search {opened.search.id} has candidates 0 to {last}, not {index}")
    return index


def advised(opened: Opened, cost: str, where: list[str]) -> AdviceOut:
    """What `advice` answers."""
    found = opened.candidates
    rows = np.flatnonzero(found.on_front)
    price, score = opened.columns.number(cost)[rows], found.values[SCORE][rows]
    order = np.argsort(price, kind="stable")
    bend = knee(price[order], score[order])
    return AdviceOut(
        cost=cost,
        knee=None if bend is None else int(rows[order[bend]]),
        best=best(found, matching(opened, where)),
        steps=[
            StepOut(
                index=one.row,
                next_index=one.next_row,
                more_cost=one.more_cost,
                more_score=one.more_score,
                score_per_cost=one.score_per_cost,
            )
            for one in steps(rows, price, score)
        ],
    )


def matching(opened: Opened, where: list[str], *, front: bool = False) -> Any:
    """Rows that meet conditions, and are on the front where that is asked: `(n,)`."""
    if len(where) > 32:
        raise InvalidSpec("where: at most 32 conditions", field="where")
    found = opened.columns.matching(where)
    return found & opened.candidates.on_front if front else found


def opened_search(with_: Services, search_id: str) -> Opened:
    """A search with its candidates, an empty set of them before the first front."""
    with with_.database.session() as session:
        search = searches.get_search(session, search_id)
        stored = front_revisions.candidates_of(session, search_id)
        space = None if stored is None else _space(session, with_.blobs, search)
        taken = {
            one.genotype.architecture: one.rank for one in searches.winners_of(session, search_id)
        }
    candidates = _nobody() if stored is None else _read(with_.blobs, stored.sha256)
    names = [one.name for one in search.value.deployments]
    return Opened(
        search=search,
        space=space,
        columns=Columns(candidates, () if space is None else space.decisions, names),
        revision=0 if stored is None else stored.revision,
        sha256="none" if stored is None else stored.sha256,
        winners=taken,
    )


def _space(session: Session, blobs: BlobStore, search: StoredSearch) -> SearchSpace:
    dataset = datasets.get_dataset(session, search.dataset_id)
    return open_space(session, blobs, search.value.space, dataset.sample)


_kept: OrderedDict[str, CandidateSet] = OrderedDict()
_lock = threading.Lock()


def _read(blobs: BlobStore, sha256: str) -> CandidateSet:
    """A set by its content, so that one that was read before is never out of date."""
    with _lock:
        if sha256 in _kept:
            _kept.move_to_end(sha256)
            return _kept[sha256]
    with blobs.open(sha256) as stream:
        found = CandidateSet.parse(stream.read())
    with _lock:
        _kept[sha256] = found
        while len(_kept) > _N_KEPT:
            _kept.popitem(last=False)
    return found


def _nobody() -> CandidateSet:
    none = np.empty(0)
    return CandidateSet(
        architectures=np.empty((0, 0), dtype=np.int64),
        deployments=np.empty(0, dtype=np.int64),
        values={SCORE: none, "latency_ms": none},
        uppers={"latency_ms": none},
        score_std=none,
        keeps_limits=np.empty(0, dtype=np.bool_),
        on_front=np.empty(0, dtype=np.bool_),
    )


def _as_shown(values: FloatArray) -> FloatArray:
    """Costs spread over powers of ten: cut into cells by their logarithms."""
    if len(values) and float(values.min()) > 0:
        return np.asarray(np.log(values))
    return values


def _short(values: FloatArray) -> list[float]:
    """Five digits: more than a plot shows, and half the bytes."""
    return [float(f"{one:.5g}") for one in values.tolist()]
