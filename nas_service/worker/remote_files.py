"""Compiled files on the device of an agent: their latencies there, and what they answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.runtimes import registry
from lookup_tables.target import Target
from nas_service.compilation.base import FloatArray32
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.errors import Unsupported
from nas_service.plugins import CONVERTERS, load
from nas_service.worker.remote import AgentProfiler


def require_runtime(device: str, runtime: str, there: Mapping[str, str]) -> None:
    """Raise `Unsupported` where a runtime is not among those that a device has."""
    if runtime not in there:
        package = registry.runtime(runtime).package
        raise Unsupported(f"device {device!r} has no {runtime}: pip install {package} there")


def require_portable(device: str, runtime: str, *, field: str | None = None) -> None:
    """Raise `Unsupported` where what is compiled here runs on this machine's processor alone."""
    if load(CONVERTERS, runtime).for_this_processor:
        raise Unsupported(
            f"{runtime} compiles for the machine of the service itself, not for device {device!r}",
            field=field,
        )


class RemoteFiles:
    """Files by name, each with its target on the device; those of like settings go together."""

    def __init__(
        self,
        profiler: AgentProfiler,
        files: Mapping[str, tuple[Path, Target]],
        protocol: Protocol = PROTOCOL,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._profiler = profiler
        self._protocol = protocol
        self._on_progress = on_progress
        self._groups: dict[tuple[str, str], tuple[Target, dict[str, Path]]] = {}
        for name, (path, target) in files.items():
            group = self._groups.setdefault(registry.measured_together(target), (target, {}))
            group[1][name] = path

    def measure(self, names: Collection[str], seed: int) -> dict[str, Timing]:
        """One session of the named files."""
        found: dict[str, Timing] = {}
        for target, models in self._groups.values():
            asked = {name: path for name, path in models.items() if name in names}
            if asked:
                found |= self._profiler.measure(
                    asked,
                    target,
                    protocol=self._protocol,
                    seed=seed,
                    on_progress=self._on_progress,
                )
        return found

    def outputs(self, names: Collection[str], samples: Path) -> dict[str, FloatArray32]:
        """The named files' outputs on the sole array of an npz, as the device computes them."""
        found: dict[str, FloatArray32] = {}
        for target, models in self._groups.values():
            asked = {name: path for name, path in models.items() if name in names}
            if asked:
                found |= self._profiler.outputs(asked, target, samples)
        return found
