"""What some worker has to do again and again: schedules, webhooks, certificates of old runtimes."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from lookup_tables.runtimes.registry import runtime_versions
from nas_service.addresses import Network
from nas_service.errors import NasError, Unsupported
from nas_service.outbound import PublicOnly
from nas_service.storage import certified, devices, reopening, webhooks
from nas_service.storage.session import Database, now
from nas_service.telemetry import logger
from nas_service.worker.devices.this_machine import require_this_machine

_log = logger(__name__)
TIMEOUT_S = 5.0


def open_scheduled(database: Database) -> None:
    """Open searches whose time has come; their jobs are enqueued with all that were stored."""
    with database.session() as session:
        due = reopening.due_schedules(session, now())
    for schedule_id, scope in due:  # each on its own: one that cannot be opened stops no other
        try:
            with database.of(scope).session() as session:
                job = reopening.open_due(session, schedule_id, now())
        except NasError as error:
            _log.warning("not opened by the clock", schedule=schedule_id, reason=error.detail)
            continue
        if job is not None:
            _log.info("opened by the clock", search=job.id)


def deliver(database: Database, client: httpx.Client) -> None:
    """Send what is due to webhooks, one at a time."""
    while True:
        with database.session() as session:
            claimed = webhooks.claim_due(session)
        if claimed is None:
            return
        heard, answer = _send(client, claimed)
        with database.session() as session:
            webhooks.note_answer(session, claimed.delivery, answer, heard=heard)


class Courier:
    """Delivers in a thread of its own: an address that hangs must hold up nothing else."""

    def __init__(
        self, database: Database, allowed: Sequence[Network] = (), every_s: float = 2.0
    ) -> None:
        self._database = database
        self._allowed = allowed
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="courier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is being sent."""
        self._ended.set()

    def _keep(self) -> None:
        transport = PublicOnly(self._allowed)
        with httpx.Client(trust_env=False, follow_redirects=False, transport=transport) as client:
            while not self._ended.wait(self._every_s):
                try:
                    deliver(self._database, client)
                except Exception as error:  # noqa: BLE001  # the thread has to outlive any outage
                    _log.warning("webhooks wait", reason=str(error))


def _send(client: httpx.Client, due: webhooks.Due) -> tuple[bool, str]:
    """Send a delivery, signed as Standard Webhooks describes it."""
    delivery, body = due.delivery, json.dumps(due.delivery.body)
    headers = {
        "Content-Type": "application/json",
        "X-NAS-Event": delivery.event,
        "X-NAS-Delivery": delivery.id,
        **(_signature(due.secret, delivery.id, body) if due.secret else {}),
    }
    try:
        with client.stream(
            "POST", due.url, content=body, headers=headers, timeout=TIMEOUT_S
        ) as answer:  # what it says beyond its status is nobody's business
            return answer.is_success, f"HTTP {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # of names no host can have
        return False, f"{type(error).__name__}: {error}"


def _signature(secret: str, message_id: str, body: str) -> dict[str, str]:
    at = datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body),
    }


def retire_certificates(database: Database, machine: str) -> None:
    """Mark certificates of this machine stale where its runtimes are others than they were."""
    versions = runtime_versions()
    with database.session() as session:
        for device in devices.every_device(session):
            try:
                require_this_machine(device, machine)
            except Unsupported:
                continue
            certified.retire_runtimes(session, device.id, versions)
