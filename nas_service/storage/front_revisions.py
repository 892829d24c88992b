"""Fronts of searches, a revision each, and where the candidates of the newest lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.errors import NotFound
from nas_service.storage.models.searches import CandidateSetRow, FrontRow, SearchRow
from nas_service.storage.rows import value_of
from nas_service.storage.searches import get_search
from nas_service.storage.session import now


def add_front(session: Session, search_id: str, body: dict[str, Any]) -> int:
    """Store the next front revision; one equal to the last is not stored again."""
    search = session.get_one(SearchRow, search_id, with_for_update=True)
    last = session.get(FrontRow, (search_id, search.revision))
    if last is not None:
        before = json.loads(last.body)
        if {k: v for k, v in before.items() if k != "revision"} == body:
            return search.revision
    search.revision += 1
    text = json.dumps({**body, "revision": search.revision}, sort_keys=True, allow_nan=False)
    session.add(
        FrontRow(
            search_id=search_id,
            revision=search.revision,
            body=text,
            lineage=search.lineage,
            created_at=now(),
        )
    )
    return search.revision


@dataclass(frozen=True, slots=True)
class StoredCandidates:
    """Where all candidates of a search lie, and which of its fronts they are of."""

    revision: int
    n_candidates: int
    sha256: str


def set_candidates(
    session: Session, search_id: str, revision: int, sha256: str, n_candidates: int
) -> None:
    """Note where the candidates of a search's newest front lie."""
    row = session.get(CandidateSetRow, search_id)
    if row is None:
        row = CandidateSetRow(search_id=search_id)
        session.add(row)
    row.revision, row.n_candidates, row.sha256 = revision, n_candidates, sha256


def candidates_of(session: Session, search_id: str) -> StoredCandidates | None:
    """Where the search's candidates lie; None before the first, and for searches made before."""
    get_search(session, search_id)
    row = session.get(CandidateSetRow, search_id, populate_existing=True)
    return None if row is None else value_of(StoredCandidates, row)


def revision_of(session: Session, search_id: str) -> int:
    """Number of the newest front, 0 before the first."""
    found = session.scalar(select(SearchRow.revision).where(SearchRow.id == search_id))
    if found is None:
        raise NotFound(f"no search {search_id!r}")
    return found


def revisions_of(session: Session, search_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Project and number of the newest front of searches that there are, by their ids."""
    query = select(SearchRow.id, SearchRow.project_id, SearchRow.revision)
    found = session.execute(query.where(SearchRow.id.in_(search_ids)))
    return {row[0]: (row[1], row[2]) for row in found}


def front_body(session: Session, search_id: str, revision: int) -> str | None:
    """The stored JSON of a front."""
    query = select(FrontRow.body).where(
        FrontRow.search_id == search_id, FrontRow.revision == revision
    )
    return session.scalar(query)


def front_bodies(session: Session, search_id: str, *, after: int = 0) -> list[tuple[str, datetime]]:
    """The stored JSON of each front after a revision with when it came, oldest first."""
    query = (
        select(FrontRow.body, FrontRow.created_at)
        .where(FrontRow.search_id == search_id, FrontRow.revision > after)
        .order_by(FrontRow.revision)
    )
    return [(row.body, row.created_at) for row in session.execute(query)]
