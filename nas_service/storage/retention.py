"""What is not kept for ever: the engine's record of what has ended, answers, events sent, files.

Nothing goes that is younger than the oldest job that has not ended: whatever such a job may still
ask for, it or what it waits for stored after that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from nas_service.storage import jobs, webhooks
from nas_service.storage.models import IdempotencyRow
from nas_service.storage.session import database_now

MARGIN = timedelta(hours=1)
"""Between the clocks of hosts, database and stores; longer than between a file and its row."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of each kind went."""

    n_deliveries: int
    n_requests: int

    def as_dict(self) -> dict[str, int]:
        """By name, for a log."""
        return asdict(self)


def ended_before(session: Session, kept: timedelta = timedelta(0)) -> datetime:
    """What was made before then belongs to no job that has not ended, and was kept long enough."""
    oldest = jobs.oldest_open(session)
    at = database_now(session) - max(kept, MARGIN)
    return at if oldest is None else min(at, oldest - MARGIN)


def forget(session: Session, before: datetime) -> Forgotten:
    """Remove requests by their keys, and events that were sent, of before then."""
    requests = delete(IdempotencyRow).where(IdempotencyRow.created_at < before)
    return Forgotten(
        n_deliveries=webhooks.forget_deliveries(session, before),
        n_requests=len(session.execute(requests.returning(IdempotencyRow.key)).all()),
    )
