"""A worker process: takes work from its queues until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import this_device
from nas_service import tracing
from nas_service.engine import durable
from nas_service.engine.leases import Keeper
from nas_service.errors import InvalidSpec, TakenOver
from nas_service.queues import CONCURRENCY, DEVICE, GPU, served
from nas_service.settings import Settings
from nas_service.storage import leases
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import new_id
from nas_service.telemetry import configure, logger
from nas_service.worker import upkeep
from nas_service.worker.context import Context
from nas_service.worker.helping import Helper
from nas_service.worker.housekeeping import Housekeeper
from nas_service.worker.lost import LostJobs
from nas_service.worker.predecessor import predecessor
from nas_service.worker.steps import Runner
from nas_service.worker.workflows import register

_log = logger(__name__)
_LOST = 75
"""Exit code of a worker that stood still for too long: start it again."""


def work(settings: Settings, queues: Sequence[str]) -> None:
    """Run until SIGTERM or SIGINT; what is cut off then is taken up by the next worker."""
    if unknown := sorted(set(queues) - set(CONCURRENCY)):
        raise InvalidSpec(f"no queue {unknown[0]!r}; known: {', '.join(CONCURRENCY)}")
    configure(settings.log_level, process="worker", as_json=settings.log_format == "json")
    context = Context.of(settings)
    executor = new_id(f"{socket.gethostname()[:40]}-{os.getpid()}")
    tracing.configure("worker", executor)
    context.signer()  # a key that cannot be used is not found out at the end of a search
    database = context.database.of(SERVICE)
    courier = upkeep.Courier(database, settings.outbound_networks)
    housekeeper = Housekeeper(settings, database, context.blobs)
    machine = _machine(settings) if DEVICE in queues else None
    lost = LostJobs(database, settings.engine_url)

    def renew(*, first: bool = False) -> None:
        with database.session() as session:
            leases.renew_lease(session, executor, queues, settings.lease_s, machine, first=first)

    def recover(dead: list[str]) -> None:
        with database.session() as session:
            leases.fence(session, dead)
        durable.recover(dead)

    def live() -> dict[str, float]:
        with database.session() as session:
            return leases.seconds_left(session)

    def tidy() -> None:
        lost.enqueue_some()
        upkeep.open_scheduled(database)
        pace.keep()

    durable.prepare(settings.engine_url)
    durable.configure(settings.engine_url, executor)

    stopped = threading.Event()

    def own(session: Session) -> None:
        try:
            leases.require_lease(session, executor)
        except TakenOver as error:  # what would be written is another worker's to write
            if stopped.is_set():
                os._exit(0)
            leave(error.detail)

    register(Runner(replace(context, database=context.database.guarded(own)), executor))
    helper = Helper(replace(context, database=database), executor)
    upkeep.retire_certificates(database, settings.machine)
    renew(first=True)  # before the engine may note work on this name
    pace = durable.launch(served(list(queues), settings.machine))
    if before := predecessor(settings.var_dir, executor):
        recover([before])
    lost.enqueue_all()
    keeper = Keeper(
        lease_s=settings.lease_s,
        renew=renew,
        live=live,
        pending=durable.pending_executors,
        recover=recover,
        lost=leave,
        tidy=tidy,
    )
    keeper.start()
    courier.start()
    housekeeper.start()
    if GPU in queues:
        helper.start()
    _log.info("worker ready", executor=executor, queues=list(queues))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    keeper.stop()
    courier.stop()
    housekeeper.stop()
    if GPU in queues:
        helper.stop()
    with database.session() as session:
        leases.end_lease(session, executor)
    tracing.end()
    # steps run in children that die with this process; whoever takes over repeats the open ones
    os._exit(0)


def leave(reason: str) -> None:
    """End at once: others took over the work of this worker, while it stood still."""
    _log.error("this worker stood still for too long", reason=reason)
    os._exit(_LOST)


def _machine(settings: Settings) -> dict[str, Any]:
    """What others are told of the machine that this worker measures on."""
    facts = this_device(settings.machine).as_dict()
    return {"name": settings.machine, "facts": facts, "runtimes": runtime_versions()}
