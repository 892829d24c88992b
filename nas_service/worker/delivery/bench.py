"""A network's files on their device, measured in sessions."""

from __future__ import annotations

from dataclasses import dataclass, field

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import Profiler
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.worker.devices.base import Files, LoadedFiles, MeasuringDevice


@dataclass
class Bench:
    """Compiled files by name on their targets; `session` measures all of them once."""

    files: Files
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
        found = self.loaded.measure(list(self.files), seed + 1000 * len(self.sessions))
        self.sessions.append(found)
        return found


def open_bench(
    device: MeasuringDevice,
    files: Files,
    *,
    protocol: Protocol = PROTOCOL,
    on_progress: OnProgress | None = None,
) -> Bench:
    """Have compiled files ready to be measured on their device."""
    loaded = device.load(files, protocol=protocol, on_progress=on_progress)
    return Bench(files, loaded, device.here)
