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
from typing import Any, Literal

import httpx
from sqlalchemy import select, text

from lookup_tables.runtimes.registry import runtime_versions
from nas_service.engine import durable
from nas_service.errors import NasError, NotFound, Unavailable
from nas_service.queues import CONCURRENCY, queue_of
from nas_service.settings import Settings
from nas_service.storage import counts, jobs
from nas_service.storage.models import AgentRow, ArtifactRow, DeviceRow
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, migrations, now

State = Literal["ok", "warning", "fault"]
_ROOMY = 5
"""How many times the least free space a disk has that is not told of."""
_N_FILES, _N_FETCHED = 200, 20
"""Stored files that are looked for, the newest first; where each has to be fetched, fewer."""
_LONG_WAIT = timedelta(minutes=10)
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
    if not settings.database_url and not (settings.var_dir / "nas.sqlite").exists():
        yield Finding("database", "ok", "none yet: `nas serve` makes it")
        return
    stored = Database(settings.url, SERVICE)
    try:
        here, newest = migrations(stored)
        shown = settings.url.rpartition("@")[2]
        if here != newest:
            advice = "`nas migrate` brings it to this version; no service may run meanwhile"
            yield Finding("database", "fault", f"{shown} is at {here}, not {newest}", advice)
            return
        yield Finding("database", "ok", f"{shown} is at {here}")
        if settings.database_url:
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
    most = _N_FETCHED if settings.blobs_url else _N_FILES
    try:
        with stored.session() as session:
            query = select(ArtifactRow.name, ArtifactRow.sha256, ArtifactRow.size_bytes)
            rows = session.execute(query.order_by(ArtifactRow.created_at.desc()).limit(most))
            found = [(str(name), str(sha256), int(size)) for name, sha256, size in rows]
        wrong = []
        for name, sha256, size in found:
            try:
                with blobs.local(sha256) as path:
                    if path.stat().st_size != size:
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
            oldest = counts.oldest_waiting(session)
    finally:
        stored.close()
    advice = "start `nas worker` (or `nas serve`); --queues says what it takes"
    if not served:
        state: State = "fault" if oldest else "warning"
        yield Finding("workers", state, f"none is alive; {len(oldest)} kinds of job wait", advice)
        return
    for queue in sorted(set(CONCURRENCY) - served):
        yield Finding("workers", "warning", f"nobody takes what is for {queue}", advice)
    yield Finding("workers", "ok", f"alive for {', '.join(sorted(served))}")
    for kind, made_at in oldest.items():
        waited = now() - made_at
        if waited > _LONG_WAIT and queue_of(kind, {}).label not in served:
            told = f"a {kind} job has waited {waited.total_seconds() / 60:.0f} minutes"
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
    url = f"http://{settings.host}:{settings.port}"
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5.0, trust_env=False)
    except httpx.HTTPError as error:
        advice = "start `nas serve`, or set NAS_HOST and NAS_PORT to where it listens"
        yield Finding("api", "warning", f"{url} does not answer: {error}", advice)
        return
    if answer.status_code == 200:
        yield Finding("api", "ok", f"{url} answers")
    else:
        advice = "its database does not answer it: see its log"
        yield Finding("api", "fault", f"{url} is not ready ({answer.status_code})", advice)


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


def _has_database(settings: Settings) -> bool:
    """Whether there is one of this version to ask."""
    if not settings.database_url and not (settings.var_dir / "nas.sqlite").exists():
        return False
    stored = Database(settings.url, SERVICE)
    try:
        here, newest = migrations(stored)
    except Unavailable:
        return False
    finally:
        stored.close()
    return here == newest
