"""`nas serve`: the API and a worker as two processes under one roof."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nas_service import tracing
from nas_service.errors import Conflict
from nas_service.processes import ALONE, BEGIN, WAITS, die_with_parent, uncollected, wait_for_start
from nas_service.settings import Settings
from nas_service.telemetry import configure, logger

if TYPE_CHECKING:
    from nas_service.api.app import Api

_log = logger(__name__)
_TAKEN = (errno.EAGAIN, errno.EACCES)
_PATIENCE_S = 20.0
_MAX_FAILURES = 3
"""A process that ends so often, each time within the patience above, will not do better."""


def serve_api(settings: Settings) -> None:
    """Serve the API and the dashboard in this process until SIGTERM or SIGINT."""
    die_with_parent()
    with uncollected():
        import uvicorn  # the process that only keeps others alive needs none of it

        from nas_service.api.app import create_app
        from nas_service.cli.databases import require_token
        from nas_service.dashboard.pages import mount

    wait_for_start()
    configure(settings.log_level, process="api", as_json=settings.log_format == "json")
    tracing.configure("api")
    require_token(settings)
    app = create_app(settings)
    mount(app)
    tracing.trace_requests(app)
    if settings.metrics_bind:
        _serve_metrics(settings, app)
    uvicorn.run(app, host=settings.host, port=settings.port, log_config=None, access_log=False)
    tracing.end()


def _serve_metrics(settings: Settings, app: Api) -> None:
    from prometheus_client import CollectorRegistry  # nobody else needs it

    from nas_service.api.metrics import Counted, serve_metrics
    from nas_service.storage.session import Database

    registry = CollectorRegistry()
    try:
        serve_metrics(settings, registry, Database(settings.url))
    except OSError as error:
        raise Conflict(
            f"metrics cannot be served on {settings.metrics_bind}: {error.strerror or error}",
            field="metrics_bind",
        ) from error
    app.wrap(lambda inner: Counted(inner, registry))


def serve(settings: Settings) -> int:
    """Migrate, then keep an API process and a worker process alive until told to stop."""
    die_with_parent()  # where the demo started it
    configure(settings.log_level, process="serve", as_json=settings.log_format == "json")
    require_free_port(settings.host, settings.port)
    if settings.metrics_bind:
        require_free_port(*settings.metrics_address, field="metrics_bind")
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    with alone(settings) as is_alone:
        return _serve(settings, is_alone=is_alone)


@contextmanager
def alone(settings: Settings) -> Iterator[bool]:
    """Keep the data folder for this service; a process that ends, however it does, gives it back.

    Gives whether it does: False on a folder that has no locks.

    Raises:
        Conflict: another service has it.
    """
    with (settings.var_dir / "service.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _TAKEN:  # a network folder, say, that has no locks
                _log.warning("the data folder cannot be locked", reason=str(error))
                yield False
                return
            handle.seek(0)
            who = handle.read().strip() or "another service"
            raise Conflict(
                f"{who} serves {settings.var_dir.resolve()} already: give this one a NAS_VAR_DIR "
                "of its own, or add `nas worker` to that one",
                field="var_dir",
            ) from None
        handle.truncate(0)
        handle.write(f"process {os.getpid()} at http://{settings.host}:{settings.port}\n")
        handle.flush()
        yield True


def _serve(settings: Settings, *, is_alone: bool) -> int:
    if is_alone:  # those that are started are told
        os.environ[ALONE] = "1"
    commands = {
        "api": ["serve", "--api-only", "--host", settings.host, "--port", str(settings.port)],
        "worker": ["worker"],
    }
    stopped = threading.Event()
    processes = {name: _start(command, waits=True) for name, command in commands.items()}
    try:
        # what the processes import takes longer; until then signals do what they do by themselves,
        # as a database may not answer
        _make_ready(settings)
    except BaseException:
        _stop(processes)
        raise
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    for process in processes.values():
        assert process.stdin is not None, "it waits"
        with contextlib.suppress(BrokenPipeError):  # it has ended, and is started again
            process.stdin.write(BEGIN)
            process.stdin.close()
    started = dict.fromkeys(commands, time.monotonic())
    failures = dict.fromkeys(commands, 0)
    _log.info("serving", url=f"http://{settings.host}:{settings.port}")
    while not stopped.wait(0.3):
        for name, process in processes.items():
            code = process.poll()
            if code is None:
                continue
            quick = time.monotonic() - started[name] < _PATIENCE_S
            failures[name] = failures[name] + 1 if quick else 1
            if failures[name] > _MAX_FAILURES:
                _log.error("a process does not stay alive", name=name, exit_code=code)
                _stop(processes)
                return 1
            _log.error("a process ended and is started again", name=name, exit_code=code)
            processes[name] = _start(commands[name])
            started[name] = time.monotonic()
    _stop(processes)
    return 0


def _make_ready(settings: Settings) -> None:
    from nas_service.cli.databases import prepare, require_token  # the processes are started first

    prepare(settings)
    require_token(settings)


def _stop(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def require_free_port(host: str, port: int, *, field: str = "port") -> None:
    """Raise `Conflict` where something listens there: said at once, not after four starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Conflict(
                f"port {port} of {host} cannot be used: {error.strerror or error}; choose another "
                f"one with {'--port' if field == 'port' else f'NAS_{field.upper()}'}",
                field=field,
            ) from error


def _start(command: list[str], *, waits: bool = False) -> subprocess.Popen[bytes]:
    """A command of ours as a process; one that `waits` does so until it is told to begin."""
    env = {**os.environ, "NAS_PARENT_PID": str(os.getpid())}
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", "nas_service.cli", *command],
        env=env | {WAITS: "1"} if waits else env,
        stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
    )
