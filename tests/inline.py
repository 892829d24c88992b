"""Workflows in the process of the test: real steps on a real SQLite file, without HTTP or engine.

Each step is called where a worker would start a process for it, with the parameters that went
through JSON as they would there. What is durable about workflows has tests of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lookup_tables.target import Deployment
from nas_service.engine import child, durable
from nas_service.search.spec import SearchSpec, TrainingSpec
from nas_service.settings import Settings
from nas_service.storage import datasets, devices, jobs, leases, searches
from nas_service.storage.jobs import Job
from nas_service.storage.scope import SERVICE
from nas_service.worker.context import Context
from nas_service.worker.steps import Runner
from nas_service.worker.workflows import Workflows

Json = dict[str, Any]


class Inline:
    """A worker that does everything at once, in the order in which it is asked for."""

    def __init__(self, var_dir: Path) -> None:
        self.context = Context.of(Settings(var_dir=var_dir, threads=1))
        with self.context.database.of(SERVICE).session() as session:
            leases.renew_lease(session, "inline", [], 1e6)
        self.workflows = Workflows(Runner(self.context, "inline"))
        self.steps: list[str] = []
        """The tasks that ran, in order."""

    def run(self, job: Job) -> Json:
        """Run a stored job; its outcome."""
        outcome: Json = getattr(self.workflows, job.kind)(job.id, job.params)
        return outcome

    def enqueue(
        self, kind: str, _queue: str, job_id: str, params: Json, *, place: int
    ) -> Callable[[], Json]:
        """In place of the engine: the job has ended when this returns."""
        assert place > 1
        outcome: Json = getattr(self.workflows, kind)(job_id, params)
        return lambda: outcome

    def step(self, task: child.Task, params: Json, **options: Any) -> Json:
        """In place of a process of its own."""
        self.steps.append(task.__qualname__)
        told = task(json.loads(json.dumps(params)), options["on_progress"])
        value: Json = json.loads(json.dumps(told))
        return value

    def search(self, spec: Json) -> tuple[str, Json]:
        """Store a search as the API does, and run it: its id and outcome."""
        search_id, run = self.stored_search(spec)
        return search_id, run()

    def stored_search(self, spec: Json) -> tuple[str, Callable[[], Json]]:
        """Store a search as the API does: its id, and what runs it."""
        training = TrainingSpec(**spec.get("training", {}))
        own = {key: value for key, value in spec.items() if key not in {"precisions", "training"}}
        names = spec.get("precisions", ("fp32", "int8"))
        value = SearchSpec(
            **own, deployments=tuple(map(Deployment.parse, names)), training=training
        )
        with self.context.database.session() as session:
            dataset = datasets.get_dataset(session, value.dataset)
            device = devices.get_device(session, value.device)
            search = searches.add_search(
                session,
                value,
                device_id=device.id,
                dataset_id=dataset.id,
                data_digest=dataset.digest,
            )
            job = jobs.add_job(
                session, search.id, "search", subject=search.id, params={"search_id": search.id}
            )
        return search.id, lambda: self.run(job)


@contextmanager
def inline(var_dir: Path, patch: pytest.MonkeyPatch) -> Iterator[Inline]:
    """A worker on a copy of a service's folder; the process is as it was before, afterwards."""
    made = Inline(var_dir)
    threads = torch.get_num_threads()
    patch.setattr(durable, "step", lambda _name, body: body())
    patch.setattr(durable, "enqueue_child", made.enqueue)
    patch.setattr(child, "run", made.step)
    patch.setattr(os, "nice", lambda _: 0)  # a step that gives way would slow the test for good
    torch.set_num_threads(1)
    try:
        yield made
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
        made.context.database.close()
