"""What may be wrong with what is stored, and with who works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import make_url, select, text
from sqlalchemy.orm import Session

from nas_service.cli.findings import Finding, State
from nas_service.engine import durable
from nas_service.errors import NotFound, Unavailable
from nas_service.queues import CONCURRENCY, machine_queue, queue_of
from nas_service.settings import Settings
from nas_service.storage import counts, jobs, leases
from nas_service.storage.models.devices import AgentRow, DeviceRow
from nas_service.storage.models.files import ArtifactRow
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.revisions import migrations
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, now, shown_url

_N_FILES = 200
"""Stored files that are looked for, the newest first."""
_LONG_WAIT = timedelta(minutes=10)
_N_WAITING = 1000
_CLOCK_S = 1.0


def database(settings: Settings) -> Iterator[Finding]:
    """Whether it answers, is of this version, and keeps the same time."""
    if _is_new(settings):
        yield Finding("database", "ok", "none yet: `nas serve` makes it")
        return
    stored = Database(settings.url, SERVICE)
    try:
        here, newest = migrations(stored)
        shown = shown_url(settings.url)
        if here != newest:
            advice = "`nas migrate` brings it to this version; no service may run meanwhile"
            yield Finding("database", "fault", f"{shown} is at {here}, not {newest}", advice)
            return
        yield Finding("database", "ok", f"{shown} is at {here}")
        if stored.engine.dialect.name == "postgresql":
            yield _clock(stored)
    finally:
        stored.close()


def _clock(stored: Database) -> Finding:
    with stored.session() as session:
        off_s = (session.execute(text("select now()")).scalar_one() - now()).total_seconds()
    observed = f"this machine's is {abs(off_s):.1f} s {'behind' if off_s > 0 else 'ahead'}"
    if abs(off_s) > _CLOCK_S:
        return Finding("clock", "fault", observed, "set both by NTP: leases go by it")
    return Finding("clock", "ok", observed)


def engine(settings: Settings) -> Iterator[Finding]:
    """Whether the queues are there."""
    if not _is_of_this_version(settings):
        return
    if not settings.database_url and not (settings.var_dir / "engine.sqlite").exists():
        advice = "bring it back from a backup; without it, jobs that wait are enqueued anew"
        yield Finding("engine", "fault", "engine.sqlite is missing", advice)
        return
    client = durable.Client(settings.engine_url)
    try:
        client.known(["none"])
    finally:
        client.close()
    yield Finding("engine", "ok", "its queues answer")


def files(settings: Settings) -> Iterator[Finding]:
    """Whether the newest stored files are there."""
    with _stored(settings) as session:
        if session is None:
            return
        query = select(ArtifactRow.name, ArtifactRow.sha256, ArtifactRow.size_bytes)
        rows = session.execute(query.order_by(ArtifactRow.created_at.desc()).limit(_N_FILES))
        found = [(str(name), str(sha256), int(size)) for name, sha256, size in rows]
    blobs, wrong = blobs_of(settings), []
    for name, sha256, size in found:
        try:
            if blobs.size_bytes(sha256) != size:
                wrong.append(f"{name} has another size")
        except NotFound:
            wrong.append(f"{name} is missing")
    if wrong:
        advice = "bring them back from a backup: rows say what they were, and cannot be fetched"
        observed = f"{len(wrong)} of the newest {len(found)}: {', '.join(wrong[:3])}"
        yield Finding("files", "fault", observed, advice)
    else:
        yield Finding("files", "ok", f"the newest {len(found)} are there")


def workers(settings: Settings) -> Iterator[Finding]:
    """Whether somebody takes what waits."""
    with _stored(settings) as session:
        if session is None:
            return
        served = {queue for one in leases.live_workers(session).values() for queue in one}
        measuring = {machine_queue(name) for name in leases.machines(session)}
        waiting = jobs.waiting_since(session, now() - _LONG_WAIT, _N_WAITING)
        by_state = counts.open_jobs(session)
    n_waiting = sum(n for (_, state), n in by_state.items() if state == "queued")
    advice = "start `nas worker` (or `nas serve`); --queues says what it takes"
    if not served:
        grave: State = "fault" if n_waiting else "warning"
        yield Finding("workers", grave, f"none is alive; {n_waiting} jobs wait", advice)
        return
    for name in sorted(set(CONCURRENCY) - served):
        yield Finding("workers", "warning", f"nobody takes what is for {name}", advice)
    yield Finding("workers", "ok", f"alive for {', '.join(sorted(served))}")
    stuck: dict[str, jobs.Job] = {}
    for job in waiting:
        queue = queue_of(job.kind, job.params)
        if not (queue.name in measuring if queue.of_machine else queue.label in served):
            stuck.setdefault(queue.name, job)
    for name, job in stuck.items():
        minutes = (now() - job.created_at).total_seconds() / 60
        observed = f"a {job.kind} job has waited {minutes:.0f} minutes for a worker on queue {name}"
        yield Finding("workers", "fault", observed, advice)


def agents(settings: Settings) -> Iterator[Finding]:
    """Devices whose agent was not heard of lately."""
    with _stored(settings) as session:
        if session is None:
            return
        query = select(DeviceRow.name, AgentRow.seen_at)
        rows = session.execute(query.join(DeviceRow, DeviceRow.id == AgentRow.device_id))
        seen = {str(name): at for name, at in rows}
    for name, at in seen.items():
        if at is None:
            advice = f"run the agent there; `nas devices token {name}` makes a new token"
            yield Finding("agents", "warning", f"{name} was never heard of", advice)
        elif (now() - at).total_seconds() > settings.agent_patience_s:
            observed = f"{name} was last heard of at {at:%Y-%m-%d %H:%M} UTC"
            yield Finding(
                "agents", "warning", observed, "see whether its agent runs, and its network"
            )
        else:
            yield Finding("agents", "ok", f"{name} is heard of")


def _is_new(settings: Settings) -> bool:
    """Whether the database is a file that nobody has made yet."""
    parsed = make_url(settings.url)
    file = parsed.database or ""
    return parsed.get_backend_name() == "sqlite" and not Path(file).exists()


def _is_of_this_version(settings: Settings) -> bool:
    """Whether there is one of this version to ask."""
    if _is_new(settings):
        return False
    stored = Database(settings.url, SERVICE)
    try:
        here, newest = migrations(stored)
    except Unavailable:
        return False
    finally:
        stored.close()
    return here == newest


@contextmanager
def _stored(settings: Settings) -> Iterator[Session | None]:
    """The database to ask; None where there is none of this version."""
    if not _is_of_this_version(settings):
        yield None
        return
    database = Database(settings.url, SERVICE)
    try:
        with database.session() as session:
            yield session
    finally:
        database.close()
