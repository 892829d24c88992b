"""Where a search's files are measured: on this machine, or through the agent of their device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import LocalProfiler, Profiler, references_from
from lookup_tables.runtimes.registry import runner
from lookup_tables.target import Target
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.compilation.executable import Executable
from nas_service.plugins import CONVERTERS, load
from nas_service.storage.devices import StoredDevice
from nas_service.worker.context import Context, require_this_machine
from nas_service.worker.remote import AgentProfiler
from nas_service.worker.remote_files import RemoteFiles

Floats = npt.NDArray[np.float32]


@dataclass
class Bench:
    """Compiled files on their target; `session` measures all of them once."""

    compiled: dict[str, Path]
    targets: Mapping[str, Target]
    profiler: Profiler
    take: Callable[[int], dict[str, Timing]]
    outputs: dict[str, Floats]
    here: bool
    """Whether files run on this machine, so that their runtimes can be asked more than a time."""
    sessions: list[dict[str, Timing]] = field(default_factory=list)

    def session(self, seed: int) -> dict[str, Timing]:
        """Measure every file once more; what is not stable is marked so, with the reason."""
        found = self.take(seed + 1000 * len(self.sessions))
        self.sessions.append(found)
        return found


def open_bench(
    context: Context,
    device: StoredDevice,
    job_id: str,
    sources: Mapping[str, Source],
    targets: Mapping[str, Target],
    folder: Path,
    *,
    samples: Floats | None = None,
    protocol: Protocol = PROTOCOL,
    on_progress: OnProgress | None = None,
) -> Bench:
    """Compile networks by name, each for the target of that name, and make them ready to measure.

    With prepared `samples` `(n, ...)`, `outputs` are each file's on the device.
    """
    compiled: dict[str, Path] = {}
    for name, source in sources.items():
        converter: Converter = load(CONVERTERS, targets[name].runtime)()
        compiled[name] = converter.compile(
            source, targets[name], folder / name.replace(":", "-")
        ).path
    references = references_from(device.facts.get("references"))
    outputs: dict[str, Floats] = {}
    if not device.local:
        files = {name: (path, targets[name]) for name, path in compiled.items()}
        agent = AgentProfiler(context, device, job_id, references)
        remote = RemoteFiles(agent, files, protocol, on_progress)
        if samples is not None:
            given = folder / "samples.npz"
            np.savez(given, images=samples)  # the name that agents of earlier versions know
            outputs = remote.outputs(compiled, given)
        return Bench(
            compiled, targets, agent, lambda seed: remote.measure(files, seed), outputs, False
        )
    require_this_machine(device)
    executables = {name: Executable(path, targets[name]) for name, path in compiled.items()}
    # as tables are measured: the runtime's own call, without what an `Executable` does around it
    runners: dict[str, Callable[[], object]] = {
        name: runner(path, targets[name]) for name, path in compiled.items()
    }
    profiler = LocalProfiler(references)

    def take(seed: int) -> dict[str, Timing]:
        return profiler.measure_loaded(
            runners, targets, protocol=protocol, seed=seed, on_progress=on_progress
        )

    if samples is not None:
        for name, executable in executables.items():
            outputs[name] = np.concatenate([executable.run(one[None]) for one in samples])
    return Bench(compiled, targets, profiler, take, outputs, here=True)
