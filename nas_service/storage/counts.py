"""How much there is of what waits, of all projects together: a few numbers, each from an index."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.storage.agents import OPEN as OPEN_REQUESTS
from nas_service.storage.jobs import OPEN
from nas_service.storage.models.devices import AgentRow, DeviceTaskRow
from nas_service.storage.models.events import DeliveryRow
from nas_service.storage.models.jobs import JobRow


def open_jobs(session: Session) -> dict[tuple[str, str], int]:
    """Jobs that have not ended, by kind and state."""
    query = (
        select(JobRow.kind, JobRow.state, func.count())
        .where(JobRow.state.in_(OPEN))
        .group_by(JobRow.kind, JobRow.state)
    )
    return {(kind, state): n for kind, state, n in session.execute(query)}


def oldest_waiting(session: Session) -> dict[str, datetime]:
    """When the job of each kind that has waited longest for a worker was made."""
    query = (
        select(JobRow.kind, func.min(JobRow.created_at))
        .where(JobRow.state == "queued")
        .group_by(JobRow.kind)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def measurement_requests(session: Session) -> dict[str, int]:
    """What agents are asked to measure, by state."""
    query = (
        select(DeviceTaskRow.state, func.count())
        .where(DeviceTaskRow.state.in_(OPEN_REQUESTS))
        .group_by(DeviceTaskRow.state)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def agents_seen_at(session: Session) -> list[datetime | None]:
    """When each device's agent was last heard of."""
    return list(session.scalars(select(AgentRow.seen_at)))


def open_deliveries(session: Session) -> int:
    """Deliveries to webhooks that nobody has heard yet."""
    query = select(func.count()).where(DeliveryRow.state == "waiting")
    return int(session.scalar(query) or 0)
