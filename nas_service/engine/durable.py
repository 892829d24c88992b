"""Durable workflows: this module and `pace` alone import DBOS.

A workflow is a function of JSON values whose steps are checkpointed: after a crash it runs again
from the start, and a step that had finished gives its stored result instead of running. Steps and
workflows return JSON values and report failures in them; nothing is raised across a checkpoint,
since what is caught then differs between a first run and a replay.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, SetWorkflowID
from sqlalchemy import make_url

from nas_service.engine.pace import OLD_POLL_S, POLL_S, Hurry, Pace
from nas_service.postgresql import noticing
from nas_service.queues import OLD, Queue, Served

APPLICATION = "nas-service"
VERSION = "1"
"""Changes only when running workflows could not go on under new code."""
SCHEMA = "nas_engine"
_SELDOM_S = 30.0
"""For what the engine looks for and nobody uses here: its schedules and messages."""

_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_AT_ONCE = 100

Json = dict[str, Any]
Body = Callable[[str, Json], Json]


def prepare(url: str) -> None:
    """Create the engine's own tables, in WAL mode on SQLite."""
    if make_url(url).get_backend_name() == "sqlite":
        connection = sqlite3.connect(make_url(url).database or "")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    DBOS.migrate(url, schema=SCHEMA)


def configure(url: str, executor: str) -> None:
    """Set the engine up in this process; workflows are registered next, then `launch` is called."""
    logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it adds one of its own
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": noticing(url),
            "dbos_system_schema": SCHEMA,
            "application_version": VERSION,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "enable_otlp": False,
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": _SELDOM_S,
            "scheduler_polling_interval_sec": _SELDOM_S,
        }
    )


def workflow(name: str, body: Body) -> None:
    """Register `body(job_id, params)` under a name that clients enqueue by."""

    def run(job_id: str, params: Json) -> Json:  # the engine marks the function it is given
        return body(job_id, params)

    DBOS.workflow(name=name, max_recovery_attempts=1000)(run)


def step(name: str, body: Callable[[], Json]) -> Json:
    """Run `body` as a checkpointed step of the current workflow."""
    result: Json = DBOS.run_step({"name": name}, body)
    return result


def launch(queues: Mapping[str, Served]) -> Pace:
    """Start working on the queues; their pace is to be kept."""
    DBOS.listen_queues(list(queues))
    DBOS.launch()
    for name, one in queues.items():
        DBOS.register_queue(
            name,
            worker_concurrency=one.concurrency,
            partition_concurrency=1 if one.by_device else None,
            polling_interval_sec=OLD_POLL_S if one.old else POLL_S,
            on_conflict="always_update",
        )
    return Pace(name for name, one in queues.items() if not one.old)


def enqueue_child(
    name: str, queue: Queue, job_id: str, params: Json, *, place: int
) -> Callable[[], Json]:
    """Enqueue from within a workflow; the result is what to call to wait for the outcome.

    Of what waits on a queue that with the smallest `place` is taken first, then the oldest.

    A workflow of that id that is there already is not started again.
    """
    with SetWorkflowID(job_id):
        handle = DBOS.enqueue_workflow_with_options(
            _options(name, queue, job_id, place), job_id, params
        )

    def outcome() -> Json:
        found: Json = handle.get_result(polling_interval_sec=POLL_S)
        return found

    return outcome


def _options(name: str, queue: Queue, job_id: str, place: int) -> EnqueueOptions:
    """What puts a workflow on a queue."""
    options: EnqueueOptions = {
        "workflow_name": name,
        "queue_name": queue.name,
        "workflow_id": job_id,
        "priority": place,
    }
    if queue.device is not None:
        options["queue_partition_key"] = queue.device
    return options


def recover(executors: Sequence[str]) -> None:
    """Put the unfinished workflows of dead executors back on their queues."""
    DBOS._recover_pending_workflows(list(executors))


def pending_executors() -> set[str]:
    """Executors that workflows are noted as running on, dead or alive."""
    rows = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return {row.executor_id for row in rows if row.executor_id}


def forget_ended(url: str, before: datetime, stopped: Callable[[], bool]) -> int:
    """Remove the record of workflows that ended before then, with those below them; how many.

    A few at a time, until there are no more or somebody says that it is to stop.
    """
    client = DBOSClient(system_database_url=noticing(url), dbos_system_schema=SCHEMA)
    n = 0
    try:
        while not stopped():
            rows = client.list_workflows(
                has_parent=False,
                status=_ENDED,
                completed_before=before.isoformat(),
                limit=_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if not rows:
                break
            client.delete_workflows([row.workflow_id for row in rows], delete_children=True)
            n += len(rows)
    finally:
        client.destroy()
    return n


class Client:
    """Enqueues workflows by name; runs none and imports none."""

    def __init__(self, url: str) -> None:
        self._client = DBOSClient(
            system_database_url=noticing(url),
            dbos_system_schema=SCHEMA,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
        )
        self._hurry = Hurry(self._client, but=OLD)

    def enqueue(self, name: str, queue: Queue, job_id: str, params: Json, *, place: int) -> None:
        """Enqueue a workflow; one of that id that is there already is not started again.

        `place`: as `enqueue_child` has it.
        """
        self._client.enqueue(
            {**_options(name, queue, job_id, place), "app_version": VERSION}, job_id, params
        )
        self._hurry()

    def known(self, job_ids: Sequence[str]) -> set[str]:
        """Which of these workflows the engine knows."""
        if not job_ids:
            return set()
        rows = self._client.list_workflows(
            workflow_ids=list(job_ids), load_input=False, load_output=False
        )
        return {row.workflow_id for row in rows}

    def close(self) -> None:
        """Close the connection."""
        self._client.destroy()
