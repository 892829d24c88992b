"""Architectures to evaluate, by trainers outside or by workers: offered, leased, reported."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from nas_service.errors import Conflict, NotFound
from nas_service.storage import bell
from nas_service.storage.models.searches import SearchRow, TrialRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.scope import Scope
from nas_service.storage.session import database_now, new_id, now

MAX_ATTEMPTS = 3
"""After so many trainers that vanished or failed over it, a trial has failed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An architecture to train at a share of the usual effort; `score` is 1 at best."""

    id: str
    search_id: str
    key: str
    genotype: list[int]
    fidelity: float
    state: str
    attempts: int
    trainer: str | None
    lease: str | None
    lease_expires_at: datetime | None
    fraction: float
    score: float | None
    problem: str | None
    created_at: datetime
    finished_at: datetime | None


def offer(
    session: Session,
    search_id: str,
    genotype: Sequence[int],
    fidelity: float,
    *,
    by_workers: bool = False,
) -> str:
    """Have a genotype evaluated, once however often it is offered; gives the trial's key."""
    said = json.dumps([list(genotype), fidelity])
    key = hashlib.sha256(said.encode()).hexdigest()
    row = TrialRow(
        id=new_id("tri"),
        search_id=search_id,
        key=key,
        genotype=list(genotype),
        fidelity=fidelity,
        by_workers=by_workers,
        state="waiting",
        attempts=0,
        fraction=0.0,
        created_at=now(),
    )
    if insert_once(session, row) and not by_workers:
        bell.ring(session)
    return key


def by_key(session: Session, search_id: str, keys: Sequence[str]) -> Mapping[str, Trial]:
    """Trials of a search by their keys."""
    query = select(TrialRow).where(TrialRow.search_id == search_id, TrialRow.key.in_(keys))
    found = session.scalars(query, execution_options={"populate_existing": True})
    return {row.key: value_of(Trial, row) for row in found}


def list_trials(session: Session, search_id: str, *, cursor: str | None, limit: int) -> Page[Trial]:
    """What trainers outside were given of a search, newest first."""
    return page_of(
        session,
        select(TrialRow).where(TrialRow.search_id == search_id, TrialRow.by_workers.is_(False)),
        TrialRow.id,
        lambda row: value_of(Trial, row),
        cursor=cursor,
        limit=limit,
    )


def get_trial(session: Session, search_id: str, trial_id: str) -> Trial:
    """The trial of that id, of that search."""
    row = session.get(TrialRow, trial_id, populate_existing=True)
    if row is None or row.search_id != search_id:
        raise NotFound(f"search {search_id} has no trial {trial_id!r}")
    return value_of(Trial, row)


def take(session: Session, search_id: str, trainer: str, lease_s: float) -> Trial | None:
    """Lease the oldest trial that nobody has; None where there is none now."""
    at = database_now(session)
    free = or_(
        TrialRow.state == "waiting",
        and_(TrialRow.state == "leased", TrialRow.lease_expires_at <= at),
    )
    query = (
        select(TrialRow)
        .where(TrialRow.search_id == search_id, free)
        .order_by(TrialRow.created_at, TrialRow.id)
        .limit(64)
    )
    for row in session.scalars(query).all():
        if row.attempts >= MAX_ATTEMPTS:
            give_up(session, search_id)
            continue
        taken = session.execute(
            update(TrialRow)
            .where(
                TrialRow.id == row.id,
                TrialRow.attempts == row.attempts,
                free,
            )
            .values(
                state="leased",
                trainer=trainer,
                lease=secrets.token_hex(16),
                lease_expires_at=at + timedelta(seconds=lease_s),
                attempts=row.attempts + 1,
                fraction=0.0,
            )
            .returning(TrialRow.id)
        )
        if taken.first() is not None:
            return get_trial(session, search_id, row.id)
    return None


def wanted(session: Session) -> list[tuple[str, Scope]]:
    """Searches of which evaluations wait for workers, in whose scope, oldest first."""
    waits = or_(
        TrialRow.state == "waiting",
        and_(TrialRow.state == "leased", TrialRow.lease_expires_at <= database_now(session)),
    )
    query = (
        select(SearchRow.id, SearchRow.project_id)
        .join(TrialRow, TrialRow.search_id == SearchRow.id)
        .where(TrialRow.by_workers, waits, SearchRow.state == "searching")
        .group_by(SearchRow.id, SearchRow.project_id, SearchRow.created_at)
        .order_by(SearchRow.created_at, SearchRow.id)
    )
    return [(search_id, Scope(project)) for search_id, project in session.execute(query)]


def release(session: Session, search_id: str, trainer: str) -> None:
    """Give back what somebody had taken who was stopped: it waits again, as if never taken."""
    session.execute(
        update(TrialRow)
        .where(
            TrialRow.search_id == search_id,
            TrialRow.trainer == trainer,
            TrialRow.state == "leased",
        )
        .values(state="waiting", lease=None, attempts=TrialRow.attempts - 1)
    )


def forget(session: Session, search_id: str, keys: Sequence[str]) -> None:
    """Remove trials of workers, whose scores are known where they are wanted."""
    session.execute(
        delete(TrialRow).where(
            TrialRow.search_id == search_id, TrialRow.by_workers, TrialRow.key.in_(keys)
        )
    )


def give_up(session: Session, search_id: str) -> None:
    """Fail the trials that every trainer who was to have them has vanished over."""
    at = database_now(session)
    session.execute(
        update(TrialRow)
        .where(
            TrialRow.search_id == search_id,
            TrialRow.state == "leased",
            TrialRow.lease_expires_at <= at,
            TrialRow.attempts >= MAX_ATTEMPTS,
        )
        .values(
            state="failed",
            problem=func.coalesce(TrialRow.problem, f"{MAX_ATTEMPTS} trainers vanished over it"),
            finished_at=at,
        )
    )


def keep(session: Session, trial: Trial, lease: str, fraction: float, lease_s: float) -> bool:
    """Prolong a lease; False where it has gone to another trainer, or the trial has ended."""
    until = database_now(session) + timedelta(seconds=lease_s)
    return _while_leased(session, trial, lease, lease_expires_at=until, fraction=fraction)


def complete(session: Session, trial: Trial, lease: str, score: float) -> None:
    """Store what came of a trial; the same report again changes nothing.

    Raises:
        Conflict: another trainer has the trial, or another value was reported.
    """
    if _while_leased(
        session, trial, lease, state="done", score=score, fraction=1.0, finished_at=now()
    ):
        return
    found = get_trial(session, trial.search_id, trial.id)
    if found.lease != lease:
        raise Conflict(f"trial {trial.id} was given to another trainer", field="lease")
    if found.state != "done":
        raise Conflict(f"trial {trial.id} is {found.state}", field="lease")
    if found.score != score:
        raise Conflict(f"trial {trial.id} was reported with another value", field="value")


def fail(session: Session, trial: Trial, lease: str, problem: str) -> None:
    """Note that a trainer failed; the trial is offered again until it has failed too often.

    Raises:
        Conflict: another trainer has the trial, or it has ended.
    """
    ended = trial.attempts >= MAX_ATTEMPTS
    values = {
        "state": "failed" if ended else "waiting",
        "problem": problem,
        "finished_at": now() if ended else None,
    }
    if not _while_leased(session, trial, lease, **values):
        raise Conflict(f"trial {trial.id} is not yours any more", field="lease")
    if not ended:
        bell.ring(session)


def _while_leased(session: Session, trial: Trial, lease: str, **values: Any) -> bool:
    """Change a trial in one statement, if it is still under this lease; says whether it was."""
    done = session.execute(
        update(TrialRow)
        .where(TrialRow.id == trial.id, TrialRow.lease == lease, TrialRow.state == "leased")
        .values(**values)
        .returning(TrialRow.id)
    )
    return done.first() is not None
