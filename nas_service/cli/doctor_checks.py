"""What may be wrong with an installation: one function a question, each with what to do about it.

Nothing is changed but for a probe that is written and removed again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import httpx
from sqlalchemy import make_url, select, text

from lookup_tables.runtimes.registry import runtime_versions
from nas_service.engine import durable
from nas_service.errors import NasError, NotFound, Unavailable
from nas_service.queues import CONCURRENCY, QUEUE_OF, machine_queue, queue_of
from nas_service.settings import Settings
from nas_service.storage import counts, jobs
from nas_service.storage.models import AgentRow, ArtifactRow, DeviceRow
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, migrations, now, shown_url

State = Literal["ok", "warning", "fault"]
_ROOMY = 5
"""How many times the least free space a disk has that is not told of."""
_N_FILES = 200
"""Stored files that are looked for, the newest first."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # not listened on
"""Where this machine reaches what listens on all of its addresses."""
_LONG_WAIT = timedelta(minutes=10)
_N_WAITING = 1000
_CLOCK_S = 1.0
_BUSY = 0.5
"""Processes that want a core, for each core, beside which measuring is slow."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer: what was looked at, what was found, and what to do where that is not well."""

    check: str
    state: State
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings) -> Iterator[Finding]:
    """Every answer, as it is found; a check that breaks is a fault of its own."""
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            yield from check(settings)
        except NasError as error:
            yield Finding(name, "fault", error.detail)
        except Exception as error:  # noqa: BLE001  # what is wrong here is what is asked for
            yield Finding(name, "fault", f"{type(error).__name__}: {error}")


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Whether it can be written to, and how much room there is."""
    folder = settings.var_dir.resolve()
    while not folder.exists():  # the service makes it
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        advice = "give the service's user the right to write there, or set NAS_VAR_DIR"
        yield Finding("data folder", "fault", f"{folder}: {error.strerror or error}", advice)
        return
    free = shutil.disk_usage(folder).free
    told = f"{folder}: {free / 1e9:.1f} GB free"
    least = settings.min_free_bytes
    advice = "make room, or move NAS_VAR_DIR; `nas remove` takes what is not needed any more"
    state: State = "fault" if free < least else "warning" if free < _ROOMY * least else "ok"
    yield Finding("data folder", state, told, "" if state == "ok" else advice)


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
    told = f"this machine's is {abs(off_s):.1f} s {'behind' if off_s > 0 else 'ahead'}"
    if abs(off_s) > _CLOCK_S:
        return Finding("clock", "fault", told, "set both by NTP: leases go by it")
    return Finding("clock", "ok", told)


def engine(settings: Settings) -> Iterator[Finding]:
    """Whether the queues are there."""
    if not _has_database(settings):
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
    if not _has_database(settings):
        return
    stored, blobs = Database(settings.url, SERVICE), blobs_of(settings)
    try:
        with stored.session() as session:
            query = select(ArtifactRow.name, ArtifactRow.sha256, ArtifactRow.size_bytes)
            rows = session.execute(query.order_by(ArtifactRow.created_at.desc()).limit(_N_FILES))
            found = [(str(name), str(sha256), int(size)) for name, sha256, size in rows]
        wrong = []
        for name, sha256, size in found:
            try:
                if blobs.size_bytes(sha256) != size:
                    wrong.append(f"{name} has another size")
            except NotFound:
                wrong.append(f"{name} is missing")
    finally:
        stored.close()
    if wrong:
        advice = "bring them back from a backup: rows say what they were, and cannot be fetched"
        told = f"{len(wrong)} of the newest {len(found)}: {', '.join(wrong[:3])}"
        yield Finding("files", "fault", told, advice)
    else:
        yield Finding("files", "ok", f"the newest {len(found)} are there")


def workers(settings: Settings) -> Iterator[Finding]:
    """Whether somebody takes what waits."""
    if not _has_database(settings):
        return
    stored = Database(settings.url, SERVICE)
    try:
        with stored.session() as session:
            served = {queue for one in jobs.live_workers(session).values() for queue in one}
            measuring = {machine_queue(name) for name in jobs.machines(session)}
            waiting = jobs.waiting_since(session, now() - _LONG_WAIT, _N_WAITING)
            n_waiting = sum(counts.open_jobs(session).get((k, "queued"), 0) for k in QUEUE_OF)
    finally:
        stored.close()
    advice = "start `nas worker` (or `nas serve`); --queues says what it takes"
    if not served:
        state: State = "fault" if n_waiting else "warning"
        yield Finding("workers", state, f"none is alive; {n_waiting} jobs wait", advice)
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
        told = f"a {job.kind} job has waited {minutes:.0f} minutes for a worker on queue {name}"
        yield Finding("workers", "fault", told, advice)


def agents(settings: Settings) -> Iterator[Finding]:
    """Devices whose agent was not heard of lately."""
    if not _has_database(settings):
        return
    stored = Database(settings.url, SERVICE)
    try:
        with stored.session() as session:
            query = select(DeviceRow.name, AgentRow.seen_at).join(
                DeviceRow, DeviceRow.id == AgentRow.device_id
            )
            seen = {str(name): at for name, at in session.execute(query)}
    finally:
        stored.close()
    for name, at in seen.items():
        if at is None:
            advice = f"run the agent there; `nas devices token {name}` makes a new token"
            yield Finding("agents", "warning", f"{name} was never heard of", advice)
        elif (now() - at).total_seconds() > settings.agent_patience_s:
            told = f"{name} was last heard of at {at:%Y-%m-%d %H:%M} UTC"
            yield Finding("agents", "warning", told, "see whether its agent runs, and its network")
        else:
            yield Finding("agents", "ok", f"{name} is heard of")


def api(settings: Settings) -> Iterator[Finding]:
    """Whether it answers where it should."""
    host = _ANYWHERE.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{settings.port}"
    named = settings.allowed_hosts.split(",")[0].strip()
    try:
        headers = {"Host": named} if named else {}
        answer = httpx.get(f"{url}/readyz", headers=headers, timeout=5.0, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        advice = "start `nas serve`, or set NAS_HOST and NAS_PORT to where it listens"
        yield Finding("api", "warning", f"{url} does not answer: {error}", advice)
        return
    if answer.status_code == HTTPStatus.OK:
        yield Finding("api", "ok", f"{url} answers")
    elif answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        advice = "its database does not answer it: see its log"
        yield Finding("api", "fault", f"{url} is not ready", advice)
    else:
        advice = "see whether what listens there is this service"
        yield Finding("api", "warning", f"{url} answers {answer.status_code}", advice)


def runtimes(settings: Settings) -> Iterator[Finding]:
    """What files can be measured with here."""
    del settings
    found = ", ".join(f"{name} {version}" for name, version in sorted(runtime_versions().items()))
    yield Finding("runtimes", "ok", f"{found}; `nas toolchains` tells of the others")


def machine(settings: Settings) -> Iterator[Finding]:
    """Whether it is quiet enough to measure on."""
    del settings
    if not hasattr(os, "getloadavg"):
        return
    a_core = os.getloadavg()[0] / (os.cpu_count() or 1)
    told = f"{a_core:.1f} processes a core want to run"
    if a_core > _BUSY:
        advice = "measuring waits for quiet moments, and takes longer: end what else runs here"
        yield Finding("machine", "warning", told, advice)
    else:
        yield Finding("machine", "ok", told)


CHECKS: tuple[Check, ...] = (
    data_folder,
    database,
    engine,
    files,
    workers,
    agents,
    api,
    runtimes,
    machine,
)


def _is_new(settings: Settings) -> bool:
    """Whether the database is a file that nobody has made yet."""
    parsed = make_url(settings.url)
    file = parsed.database or ""
    return parsed.get_backend_name() == "sqlite" and not Path(file).exists()


def _has_database(settings: Settings) -> bool:
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
