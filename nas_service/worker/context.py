"""What a step may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas_service.delivery.signing import Signer
from nas_service.settings import Settings
from nas_service.space.base import Sample, SearchSpace
from nas_service.space.supported import supported
from nas_service.storage import leases, signing_keys
from nas_service.storage.blobs import BlobStore
from nas_service.storage.devices import StoredDevice
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.scope import DEFAULT, Scope
from nas_service.storage.session import Database
from nas_service.storage.spaces import open_space
from nas_service.worker.locks import PROCESSOR, held


@dataclass(frozen=True)
class Context:
    """Settings, database and blobs of this process, and the job that it works for."""

    settings: Settings
    database: Database
    blobs: BlobStore
    job_id: str = ""
    executor: str = ""
    """The worker that it works in."""
    locks: frozenset[str] = frozenset({PROCESSOR})
    """What the step holds; see `nas_service.worker.locks`."""

    @classmethod
    def of(cls, settings: Settings, scope: Scope = DEFAULT) -> Context:
        """Connect."""
        return cls(settings, Database(settings.url, scope), blobs_of(settings))

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Context:
        """Connect as the worker that started this step does."""
        scope = Scope(params["project_id"])
        made = cls.of(Settings.model_validate(params["settings"]), scope)
        executor = params["executor"]
        guarded = made.database.guarded(lambda session: leases.require_lease(session, executor))
        made = replace(made, database=guarded)
        return replace(
            made, job_id=params["job_id"], executor=executor, locks=frozenset(params["locks"])
        )

    def signer(self) -> Signer:
        """The key that bundles are signed with, whose public half is stored for all to ask for."""
        signer = Signer.of(self.settings)
        with self.database.session() as session:
            signing_keys.add_key(session, signer.key_id, signer.public_pem)
        return signer

    def scratch(self, name: str) -> Path:
        """A folder for unfinished files that outlives a crash, so that a step can resume.

        It goes at the latest when its job ends.
        """
        folder = self.settings.scratch_dir / self.job_id / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def tidy(self, job_id: str) -> None:
        """Remove what steps of a job left, which were killed."""
        shutil.rmtree(self.settings.scratch_dir / job_id, ignore_errors=True)

    @contextmanager
    def building(self) -> Iterator[None]:
        """Have the processor for as long as files are built, in a step that does not hold it."""
        with held(() if PROCESSOR in self.locks else (PROCESSOR,), self.settings):
            yield

    def threads(self) -> int:
        """Threads of a training step."""
        return self.settings.threads or len(os.sched_getaffinity(0))


def make_space(context: Context, name: str, sample: Sample) -> SearchSpace:
    """The search space of that name for samples like this one, ready to build networks of."""
    with context.database.session() as session:
        return open_space(session, context.blobs, name, sample, with_model=True)


def space_on(context: Context, name: str, sample: Sample, *devices: StoredDevice) -> SearchSpace:
    """The same without what one of the devices cannot run.

    Raises:
        InvalidSpec: nothing of the space runs there.
    """
    lacking = {one for it in devices for one in it.facts.get("unsupported_operators", ())}
    return supported(make_space(context, name, sample), lacking)
