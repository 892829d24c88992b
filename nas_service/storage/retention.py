"""What is not kept for ever: the engine's record of what has ended, answers, events sent, files.

Nothing goes that is younger than the oldest job that has not ended: whatever such a job may still
ask for, it or what it waits for stored after that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.storage import jobs, webhooks
from nas_service.storage.models.jobs import IdempotencyRow
from nas_service.storage.session import database_now

MARGIN = timedelta(hours=1)
"""Between the clocks of hosts, database and stores; longer than between a file and its row."""
QUIET = timedelta(minutes=1)
"""The same where no job is open: an upload stores a file and then its row."""

AT_ONCE = 1000
"""Rows in a transaction: others want to write, too."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of each kind went."""

    n_deliveries: int
    n_requests: int

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(self.n_deliveries + other.n_deliveries, self.n_requests + other.n_requests)

    def __bool__(self) -> bool:
        return bool(self.n_deliveries or self.n_requests)

    def as_dict(self) -> dict[str, int]:
        """By name, for a log."""
        return asdict(self)


def ended_before(session: Session, kept: timedelta = timedelta(0)) -> datetime:
    """What was made before then belongs to no job that has not ended, and was kept long enough."""
    oldest = jobs.oldest_open(session)
    at = database_now(session) - max(kept, MARGIN)
    return at if oldest is None else min(at, oldest - MARGIN)


def unused_before(session: Session) -> datetime:
    """Files that were last stored before then and that no row names are nobody's any more."""
    if jobs.oldest_open(session) is not None:
        return ended_before(session)
    return database_now(session) - QUIET


def forget(session: Session, before: datetime, at_most: int = AT_ONCE) -> Forgotten:
    """Remove requests by their keys, and events that were sent, of before then: so many of each."""
    some = select(IdempotencyRow.key).where(IdempotencyRow.created_at < before).limit(at_most)
    requests = delete(IdempotencyRow).where(IdempotencyRow.key.in_(some))
    return Forgotten(
        n_deliveries=webhooks.forget_deliveries(session, before, at_most),
        n_requests=len(session.execute(requests.returning(IdempotencyRow.key)).all()),
    )
