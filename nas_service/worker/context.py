"""What a step may use."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookup_tables.target import this_device
from nas_service.engine.child import machine_to_itself
from nas_service.errors import Unsupported
from nas_service.plugins import SPACES, load
from nas_service.settings import Settings
from nas_service.space.base import Sample, SearchSpace
from nas_service.space.supported import supported
from nas_service.storage.blobs import BlobStore
from nas_service.storage.devices import StoredDevice
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.session import Database


@dataclass(frozen=True)
class Context:
    """Settings, database and blobs of this process, and the job that it works for."""

    settings: Settings
    database: Database
    blobs: BlobStore
    job_id: str = ""
    remote: bool = False
    """Whether the job measures on the device of an agent: then it does not hold this machine."""

    @classmethod
    def of(cls, settings: Settings) -> Context:
        """Connect."""
        return cls(settings, Database(settings.url), blobs_of(settings))

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Context:
        """Connect as the worker that started this step does."""
        made = cls.of(Settings.model_validate(params["settings"]))
        job_id, remote = params.get("job_id", ""), bool(params.get("remote"))
        return replace(made, job_id=job_id, remote=remote)

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

    @property
    def machine_lock(self) -> Path:
        """The file that is locked by whoever has this machine to itself.

        Machines may share the folder, and containers of one machine do.
        """
        return self.settings.var_dir / f"machine-{_this_boot()}.lock"

    @contextmanager
    def building(self) -> Iterator[None]:
        """Have the machine for as long as files are built, in a step that did not come with it."""
        if not self.remote:
            yield
            return
        with machine_to_itself(self.machine_lock, lambda: False):
            yield

    def threads(self) -> int:
        """Threads of a training step."""
        return self.settings.threads or len(os.sched_getaffinity(0))


def _this_boot() -> str:
    """A name that all containers of this machine share with it and with no other machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return socket.gethostname()


def require_this_machine(device: StoredDevice) -> None:
    """Raise `Unsupported` where `device` is not the machine that this process runs on."""
    here = this_device(device.name)
    facts = device.facts
    same = (facts["model"], facts["n_cores"]) == (here.model, here.n_cores)
    if not device.local or not same:
        raise Unsupported(
            f"device {device.name!r} ({facts['model']}, {facts['n_cores']} cores) is not the "
            f"machine that this worker runs on ({here.model}, {here.n_cores} cores)"
        )


def make_space(name: str, sample: Sample) -> SearchSpace:
    """The search space of that name for samples like this one."""
    space: SearchSpace = load(SPACES, name)(sample)
    return space


def space_on(name: str, sample: Sample, *devices: StoredDevice) -> SearchSpace:
    """The same without what one of the devices cannot run.

    Raises:
        InvalidSpec: nothing of the space runs there.
    """
    lacking = {one for it in devices for one in it.facts.get("unsupported_operators", ())}
    return supported(make_space(name, sample), lacking)
