"""A network's files on their device, measured in sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import Profiler
from lookup_tables.target import Target
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.plugins import CONVERTERS, load
from nas_service.worker.devices.base import LoadedFiles, MeasuringDevice


@dataclass
class Bench:
    """Compiled files on their target; `session` measures all of them once."""

    compiled: dict[str, Path]
    targets: Mapping[str, Target]
    loaded: LoadedFiles
    here: bool
    """Whether files run on this machine, so that their runtimes can be asked more than a time."""
    sessions: list[dict[str, Timing]] = field(default_factory=list)

    @property
    def profiler(self) -> Profiler:
        """Who measures, and what it knows of the device's state."""
        return self.loaded.profiler

    def session(self, seed: int) -> dict[str, Timing]:
        """Measure every file once more; what is not stable is marked so, with the reason."""
        found = self.loaded.measure(list(self.compiled), seed + 1000 * len(self.sessions))
        self.sessions.append(found)
        return found


def open_bench(
    device: MeasuringDevice,
    sources: Mapping[str, Source],
    targets: Mapping[str, Target],
    folder: Path,
    *,
    protocol: Protocol = PROTOCOL,
    on_progress: OnProgress | None = None,
) -> Bench:
    """Compile networks by name, each for the target of that name, and have them loaded."""
    compiled: dict[str, Path] = {}
    for name, source in sources.items():
        converter: Converter = load(CONVERTERS, targets[name].runtime)()
        compiled[name] = converter.compile(
            source, targets[name], folder / name.replace(":", "-")
        ).path
    files = {name: (path, targets[name]) for name, path in compiled.items()}
    loaded = device.load(files, protocol=protocol, on_progress=on_progress)
    return Bench(compiled, targets, loaded, device.here)
