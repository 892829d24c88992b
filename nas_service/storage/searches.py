"""Searches, their evaluations, fronts and winners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nas_service.errors import Conflict, NotFound
from nas_service.lineage import lineage
from nas_service.search.evaluation import Evaluation
from nas_service.search.facts import FactsUpdate, SearchFacts
from nas_service.search.spec import SearchSpec
from nas_service.space.genotypes import Genotype
from nas_service.storage.models.searches import (
    EvaluationRow,
    SearchRow,
    TrialRow,
    WinnerRow,
)
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.session import new_id, now

FINAL = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class StoredSearch:
    """A search: the request, how far it is, and what it has settled and observed."""

    id: str
    spec: dict[str, Any]
    state: str
    revision: int
    device_id: str
    dataset_id: str
    reopens: str | None
    facts: SearchFacts
    problem: dict[str, Any] | None
    lineage: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None

    @property
    def value(self) -> SearchSpec:
        """The request."""
        return SearchSpec.from_dict(self.spec)


@dataclass(frozen=True, slots=True)
class StoredWinner:
    """A winner; `compressed` are its files, `results` one row a precision."""

    id: str
    search_id: str
    rank: int
    genotype: Genotype
    estimates: dict[str, Any]
    compressed: dict[str, Any] | None
    results: list[dict[str, Any]] | None
    state: str
    problem: dict[str, Any] | None
    created_at: datetime


def add_search(
    session: Session,
    spec: SearchSpec,
    *,
    device_id: str,
    dataset_id: str,
    data_digest: str | None,
    search_id: str | None = None,
    reopens: str | None = None,
    reason: str | None = None,
) -> StoredSearch:
    """Store a new search; `Conflict` where one of that id is there.

    `reopens` is the search that it opens again, `reason` why.
    """
    row = SearchRow(
        id=search_id or new_id("sea"),
        follows=list(spec.follows) or None,
        reopens=reopens,
        spec=spec.as_dict(),
        state="queued",
        revision=0,
        device_id=device_id,
        dataset_id=dataset_id,
        facts={} if reason is None else {"opened_because": reason},
        lineage=lineage(seed=spec.seed, data=data_digest),
        created_at=now(),
    )
    if not insert_once(session, row):
        raise Conflict(f"search {row.id} is there already")
    return get_search(session, row.id)


def followers(session: Session) -> list[StoredSearch]:
    """Searches that follow devices and have ended well, oldest first."""
    query = (
        select(SearchRow)
        .where(SearchRow.follows.is_not(None), SearchRow.state == "succeeded")
        .order_by(SearchRow.id)
    )
    found = [_search(row) for row in session.scalars(query)]
    return [one for one in found if one.value.follows]


def opened_again_from(session: Session, search_id: str) -> list[StoredSearch]:
    """Searches that opened this one again, newest first."""
    query = (
        select(SearchRow)
        .where(SearchRow.reopens == search_id)
        .order_by(SearchRow.created_at.desc())
    )
    return [_search(row) for row in session.scalars(query)]


def get_search(session: Session, search_id: str) -> StoredSearch:
    """The search of that id."""
    row = session.get(SearchRow, search_id)
    if row is None:
        raise NotFound(f"no search {search_id!r}")
    return _search(row)


def list_searches(
    session: Session,
    *,
    state: str | None = None,
    device_id: str | None = None,
    dataset_id: str | None = None,
    cursor: str | None,
    limit: int,
) -> Page[StoredSearch]:
    """Searches, newest first; those of a state, a device, a data set where they are named."""
    query = select(SearchRow)
    for column, wanted in (
        (SearchRow.state, state),
        (SearchRow.device_id, device_id),
        (SearchRow.dataset_id, dataset_id),
    ):
        query = query if wanted is None else query.where(column == wanted)
    return page_of(
        session,
        query,
        SearchRow.id,
        lambda row: _search(row),
        cursor=cursor,
        limit=limit,
        made_at=SearchRow.created_at,  # those that were opened again are named by why
    )


def n_outside(session: Session) -> int:
    """How many searches that have not ended leave the training to trainers outside."""
    specs = session.scalars(select(SearchRow.spec).where(SearchRow.state.not_in(FINAL)))
    return sum(one.get("evaluator") == "outside" for one in specs)


def set_state(
    session: Session, search_id: str, state: str, *, problem: dict[str, Any] | None = None
) -> None:
    """Move a search on; one that has ended stays as it ended."""
    session.execute(
        update(SearchRow)
        .where(SearchRow.id == search_id, SearchRow.state.not_in(FINAL))
        .values(state=state, problem=problem, finished_at=now() if state in FINAL else None)
    )
    if state in FINAL:  # evaluations that workers shared when it ended
        session.execute(
            delete(TrialRow).where(TrialRow.search_id == search_id, TrialRow.by_workers)
        )


def _search(row: SearchRow) -> StoredSearch:
    stored = value_of(StoredSearch, row)
    return replace(stored, facts=SearchFacts.from_dict(row.facts))


def add_facts(session: Session, search_id: str, **facts: Unpack[FactsUpdate]) -> None:
    """Note what a step settled or observed."""
    row = session.get_one(SearchRow, search_id)
    row.facts = {**row.facts, **facts}
    sources = {
        **row.lineage.get("sources", {}),
        **{k: v for k, v in facts.items() if k in _SOURCES},
    }
    row.lineage = {**row.lineage, "sources": sources}


_SOURCES = ("tables", "supernet_id", "predictor_id")


def evaluations_of(session: Session, search_id: str) -> list[Evaluation]:
    """Its evaluations, in order."""
    query = (
        select(EvaluationRow)
        .where(EvaluationRow.search_id == search_id)
        .order_by(EvaluationRow.number)
    )
    return [
        Evaluation(
            row.number, row.batch, Genotype.from_list(row.genotype), row.accuracy, row.attributes
        )
        for row in session.scalars(query)
    ]


def add_evaluations(session: Session, search_id: str, batch: Sequence[Evaluation]) -> None:
    """Store a batch; evaluations that are there already stay as they are.

    What they were made with is noted on their search, once for all of them.
    """
    for one in batch:
        row = EvaluationRow(
            search_id=search_id,
            number=one.number,
            batch=one.batch,
            architecture_key="-".join(map(str, one.genotype.architecture)),
            genotype=one.genotype.as_list(),
            accuracy=one.accuracy,
            attributes=dict(one.attributes),
            lineage={},
            created_at=now(),
        )
        insert_once(session, row)


def add_winner(
    session: Session, search_id: str, rank: int, genotype: Genotype, estimates: dict[str, Any]
) -> StoredWinner:
    """Store a winner, or give back the one of that rank."""
    row = WinnerRow(
        id=f"{search_id}-w{rank}",
        search_id=search_id,
        rank=rank,
        genotype=genotype.as_list(),
        estimates=estimates,
        state="queued",
        lineage=get_search(session, search_id).lineage,
        created_at=now(),
    )
    insert_once(session, row)
    return get_winner(session, row.id)


def get_winner(session: Session, winner_id: str) -> StoredWinner:
    """The winner of that id."""
    row = session.get(WinnerRow, winner_id, populate_existing=True)
    if row is None:
        raise NotFound(f"no winner {winner_id!r}")
    return _winner(row)


def _winner(row: WinnerRow) -> StoredWinner:
    stored = value_of(StoredWinner, row)
    return replace(stored, genotype=Genotype.from_list(row.genotype))


def winners_of(session: Session, search_id: str) -> list[StoredWinner]:
    """A search's winners by rank."""
    query = select(WinnerRow).where(WinnerRow.search_id == search_id).order_by(WinnerRow.rank)
    return [_winner(row) for row in session.scalars(query)]


def update_winner(session: Session, winner_id: str, **values: Any) -> None:
    """Set columns of a winner."""
    session.execute(update(WinnerRow).where(WinnerRow.id == winner_id).values(**values))


def remove_search(session: Session, search_id: str) -> None:
    """Forget a search that was stored twice."""
    row = session.get(SearchRow, search_id)
    if row is not None:
        session.delete(row)
