"""The machine that a worker runs on as a device, and such machines of other workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import LocalProfiler, Profiler
from lookup_tables.runtimes.registry import runner, runtime_versions
from lookup_tables.target import this_device
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.compilation.executable import Executable
from nas_service.compilation.samples import read_samples
from nas_service.errors import Unsupported
from nas_service.recorded.feeds import Named, by_place
from nas_service.storage import leases
from nas_service.storage.devices import StoredDevice
from nas_service.worker.devices.base import Files, Floats, LoadedFiles, MeasuringDevice, Runtimes


class ThisMachine(MeasuringDevice):
    """The machine of this process."""

    here = True
    n_networks = (24, 20)

    def runtimes(self) -> Runtimes:
        """See `MeasuringDevice.runtimes`."""
        return Runtimes(runtime_versions())

    def require(self) -> None:
        """See `MeasuringDevice.require`."""
        require_this_machine(self.stored, self.context.settings.machine)

    def reachable(self) -> bool:
        """See `MeasuringDevice.reachable`."""
        return True

    def profiler(self, *, relearn: bool = False) -> Profiler:
        """See `MeasuringDevice.profiler`."""
        self.require()
        return LocalProfiler(self.references(), relearn=relearn)

    def load(
        self,
        files: Files,
        *,
        protocol: Protocol = PROTOCOL,
        on_progress: OnProgress | None = None,
    ) -> LoadedFiles:
        """See `MeasuringDevice.load`."""
        self.require()
        return _Loaded(LocalProfiler(self.references()), files, protocol, on_progress)

    def require_compiled_for(self, runtime: str, *, field: str | None = None) -> None:
        """See `MeasuringDevice.require_compiled_for`: it is compiled where it runs."""


class _Loaded(LoadedFiles):
    """Files in this process."""

    profiler: LocalProfiler

    def __init__(
        self,
        profiler: LocalProfiler,
        files: Files,
        protocol: Protocol,
        on_progress: OnProgress | None,
    ) -> None:
        super().__init__(profiler)
        self._files = files
        self._protocol = protocol
        self._on_progress = on_progress
        # as tables are measured: the runtime's own call, without what an `Executable` does around
        self._runners: dict[str, Callable[[], object]] = {
            name: runner(path, target) for name, (path, target) in files.items()
        }

    def measure(self, names: Collection[str], seed: int) -> dict[str, Timing]:
        """See `LoadedFiles.measure`."""
        return self.profiler.measure_loaded(
            {name: one for name, one in self._runners.items() if name in names},
            {name: target for name, (_, target) in self._files.items() if name in names},
            protocol=self._protocol,
            seed=seed,
            on_progress=self._on_progress,
        )

    def outputs(self, samples: Path) -> dict[str, Floats]:
        """See `LoadedFiles.outputs`."""
        inputs = read_samples(samples)
        found = {}
        for name, (path, target) in self._files.items():
            executable = Executable(path, target)
            found[name] = np.concatenate([executable.run(one[None]) for one in inputs])
        return found

    def answers(self, samples: Sequence[Named]) -> dict[str, list[Named]]:
        """See `LoadedFiles.answers`."""
        found: dict[str, list[Named]] = {}
        for name, (path, target) in self._files.items():
            executable = Executable(path, target)
            found[name] = [by_place(executable.answer(one)) for one in samples]
        return found


class OtherMachine(MeasuringDevice):
    """A machine that a worker of its own measures on: known by what that worker says of it."""

    here = False
    n_networks = ThisMachine.n_networks

    def runtimes(self) -> Runtimes:
        """See `MeasuringDevice.runtimes`."""
        with self.context.database.session() as session:
            machine = leases.machines(session).get(self.stored.machine or "")
        if machine is None:
            raise Unsupported(
                f"device {self.name!r} is machine {self.stored.machine!r}, on which no worker runs"
            )
        return Runtimes(dict(machine["runtimes"]))

    def require(self) -> None:
        """See `MeasuringDevice.require`: it is not for this process to measure there."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        own = self.context.settings.machine
        raise Unsupported(
            f"device {self.name!r} is machine {self.stored.machine!r}; this worker runs on {own!r}"
        )

    def reachable(self) -> bool:
        """See `MeasuringDevice.reachable`."""
        with self.context.database.session() as session:
            return self.stored.machine in leases.machines(session)

    def profiler(self, *, relearn: bool = False) -> Profiler:
        """See `MeasuringDevice.profiler`: not from here."""
        del relearn
        self._refuse()

    def load(
        self,
        files: Files,
        *,
        protocol: Protocol = PROTOCOL,
        on_progress: OnProgress | None = None,
    ) -> LoadedFiles:
        """See `MeasuringDevice.load`: not from here."""
        del files, protocol, on_progress
        self._refuse()

    def require_compiled_for(self, runtime: str, *, field: str | None = None) -> None:
        """See `MeasuringDevice.require_compiled_for`: the worker there compiles, too."""


def require_this_machine(device: StoredDevice, machine: str) -> None:
    """Raise `Unsupported` where `device` is not `machine`, on which this process runs."""
    here = this_device(device.name)
    facts = device.facts
    same = (facts["model"], facts["n_cores"]) == (here.model, here.n_cores)
    if device.machine != machine or not same:
        raise Unsupported(
            f"device {device.name!r} ({facts['model']}, {facts['n_cores']} cores) is not the "
            f"machine that this worker runs on ({here.model}, {here.n_cores} cores)"
        )
