"""What may be wrong with an installation: one function a question, each with what to do about it.

Nothing is changed but for a probe that is written and removed again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from http import HTTPStatus
from ipaddress import ip_address

import httpx

from lookup_tables.runtimes.registry import runtime_versions
from nas_service.cli.doctor_stored import agents, database, engine, files, workers
from nas_service.cli.findings import Check, Finding, State
from nas_service.delivery.signing import Signer
from nas_service.errors import InvalidSpec, NasError
from nas_service.settings import Settings

_ROOMY = 5
"""How many times the least free space a disk has that gets no warning."""
_BUSY = 0.5
"""Processes that want a core, for each core, beside which measuring is slow."""


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
    observed = f"{folder}: {free / 1e9:.1f} GB free"
    least = settings.min_free_bytes
    advice = "make room, or move NAS_VAR_DIR; `nas remove` takes what is not needed any more"
    state: State = "fault" if free < least else "warning" if free < _ROOMY * least else "ok"
    yield Finding("data folder", state, observed, "" if state == "ok" else advice)


def signing_key(settings: Settings) -> Iterator[Finding]:
    """Whether the key that bundles are signed with can be used; one of its own is made in time."""
    if settings.signing_key is None and not settings.signing_key_path.exists():
        yield Finding("signing key", "ok", f"{settings.signing_key_path}: made by the first worker")
        return
    try:
        signer = Signer.of(settings)
    except InvalidSpec as error:
        advice = "openssl genpkey -algorithm ed25519 -out FILE makes one, for the service's user"
        yield Finding("signing key", "fault", error.detail, advice)
        return
    yield Finding("signing key", "ok", f"{settings.signing_key_path}: {signer.key_id}")


def _reached_at(host: str) -> str:
    """Where this machine reaches what listens on an address, or on all that it has."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def api(settings: Settings) -> Iterator[Finding]:
    """Whether it answers where it should."""
    host = _reached_at(settings.host)
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
    observed = f"{a_core:.1f} processes a core want to run"
    if a_core > _BUSY:
        advice = "measuring waits for quiet moments, and takes longer: end what else runs here"
        yield Finding("machine", "warning", observed, advice)
    else:
        yield Finding("machine", "ok", observed)


CHECKS: tuple[Check, ...] = (
    data_folder,
    signing_key,
    database,
    engine,
    files,
    workers,
    agents,
    api,
    runtimes,
    machine,
)
