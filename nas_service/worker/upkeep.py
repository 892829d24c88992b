"""What some worker has to do again and again: schedules, webhooks, certificates of old runtimes."""

from __future__ import annotations

import httpx

from lookup_tables.runtimes import runtime_versions
from nas_service.errors import Unsupported
from nas_service.storage import certified, devices, reopening, webhooks
from nas_service.storage.session import Database, now
from nas_service.telemetry import logger
from nas_service.worker.context import require_this_machine

_log = logger(__name__)
TIMEOUT_S = 5.0


def open_scheduled(database: Database) -> None:
    """Open searches whose time has come; their jobs are enqueued with all that were stored."""
    with database.session() as session:
        for job in reopening.open_due(session, now()):
            _log.info("opened by the clock", search=job.id)


def deliver(database: Database, client: httpx.Client) -> None:
    """Send what is due to webhooks."""
    with database.session() as session:
        due = webhooks.claim_due(session)
    for delivery, url in due:
        heard, answer = _send(client, url, delivery)
        with database.session() as session:
            webhooks.note_answer(session, delivery, answer, heard=heard)


def _send(client: httpx.Client, url: str, delivery: webhooks.Delivery) -> tuple[bool, str]:
    headers = {"X-NAS-Event": delivery.event, "X-NAS-Delivery": delivery.id}
    try:
        answer = client.post(url, json=delivery.body, headers=headers, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return False, f"{type(error).__name__}: {error}"
    return answer.is_success, f"HTTP {answer.status_code}"


def retire_certificates(database: Database) -> None:
    """Mark certificates of this machine stale where its runtimes are others than they were."""
    versions = runtime_versions()
    with database.session() as session:
        for device in devices.list_devices(session, cursor=None, limit=200).items:
            if not device.local:
                continue
            try:
                require_this_machine(device)
            except Unsupported:
                continue
            certified.retire_runtimes(session, device.id, versions)
