"""What a step asks of a device, whether its files run on this machine or elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import Profiler, References, references_from
from lookup_tables.runtimes import registry
from lookup_tables.target import Deployment, Target
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.errors import Unsupported
from nas_service.plugins import CONVERTERS, names
from nas_service.recorded.feeds import Named
from nas_service.storage.devices import StoredDevice
from nas_service.worker.context import Context

Floats = npt.NDArray[np.float32]
Files = Mapping[str, tuple[Path, Target]]
"""Compiled files by name, each with its target on the device."""


@dataclass(frozen=True, slots=True)
class Runtimes:
    """Runtimes of a device with their versions, and the operating point that it is kept at."""

    versions: Mapping[str, str]
    operating_point: str = ""


class LoadedFiles(ABC):
    """Compiled files that are ready to be measured on their device, all of them interleaved."""

    def __init__(self, profiler: Profiler) -> None:
        self.profiler = profiler

    @abstractmethod
    def measure(self, names: Collection[str], seed: int) -> dict[str, Timing]:
        """One session of the named files."""

    @abstractmethod
    def outputs(self, samples: Path) -> dict[str, Floats]:
        """First output of each file there, on the prepared samples `(n, ...)` of an npz."""

    @abstractmethod
    def answers(self, samples: Sequence[Named]) -> dict[str, list[Named]]:
        """All outputs of each file there, by their places, to each of some recorded samples."""


class MeasuringDevice(ABC):
    """A registered device at the other end of a step.

    `here` says whether files run on the machine of the step, so that their runtimes can be asked
    more than a time. `n_networks` are whole networks that a profile calibrates on and checks with.
    """

    here: bool
    n_networks: tuple[int, int]

    def __init__(self, context: Context, stored: StoredDevice) -> None:
        self.context = context
        self.stored = stored

    @property
    def name(self) -> str:
        """As it was registered."""
        return self.stored.name

    @abstractmethod
    def runtimes(self) -> Runtimes:
        """What is there now.

        Raises:
            Unsupported: nobody can tell.
        """

    @abstractmethod
    def require(self) -> None:
        """Raise `Unsupported` where this process can have nothing measured there."""

    @abstractmethod
    def reachable(self) -> bool:
        """Whether something can be measured there now."""

    @abstractmethod
    def profiler(self, *, relearn: bool = False) -> Profiler:
        """Who measures there; with `relearn` a reference state that is gone is learned again."""

    @abstractmethod
    def load(
        self,
        files: Files,
        *,
        protocol: Protocol = PROTOCOL,
        on_progress: OnProgress | None = None,
    ) -> LoadedFiles:
        """Make files ready to measure."""

    @abstractmethod
    def require_compiled_for(self, runtime: str, *, field: str | None = None) -> None:
        """Raise `Unsupported` where what is compiled here for a runtime does not run there."""

    def require_runtime(self, runtime: str) -> str:
        """The version of a runtime there; `Unsupported`, with how to get it, where it is not."""
        versions = self.runtimes().versions
        if runtime not in versions:
            package = registry.runtime(runtime).package
            raise Unsupported(f"device {self.name!r} has no {runtime}: pip install {package} there")
        return versions[runtime]

    def searched_runtimes(self) -> dict[str, str] | None:
        """Those that can be compiled for and measured there; None where nothing can be."""
        try:
            versions = self.runtimes().versions
        except Unsupported:
            return None
        return {name: version for name, version in versions.items() if name in names(CONVERTERS)}

    def can_measure(self, targets: Iterable[Target]) -> bool:
        """Whether files for these targets can be measured now, as the device is now."""
        there = self.searched_runtimes()
        if there is None or not self.reachable():
            return False
        return all(there.get(one.runtime) == one.runtime_version for one in targets)

    def targets(self, deployments: Sequence[str]) -> list[Target]:
        """Its targets of these deployments as it is now.

        Raises:
            Unsupported: the device lacks a runtime, or is out of this process's reach.
        """
        self.require()
        wanted = [Deployment.parse(name) for name in deployments]
        point = self.runtimes().operating_point
        return [
            Target(
                self.name,
                one.runtime,
                self.require_runtime(one.runtime),
                one.precision,
                operating_point=point,
            )
            for one in wanted
        ]

    def references(self) -> References:
        """The states that its measurements hold in, as they were last seen."""
        return references_from(self.stored.facts.get("references"))
