"""A device that an agent measures on: files are sent there, timings and outputs come back."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.measuring.feeds import save_feeds
from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import Profiler
from lookup_tables.runtimes import registry
from lookup_tables.target import Target
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.compilation.samples import read_samples
from nas_service.errors import Unsupported
from nas_service.plugins import CONVERTERS, load
from nas_service.recorded.feeds import Named
from nas_service.storage import agents
from nas_service.storage.agents import Agent
from nas_service.storage.session import now
from nas_service.worker.devices.agent_profiler import AgentProfiler
from nas_service.worker.devices.base import Files, Floats, LoadedFiles, MeasuringDevice, Runtimes


class AgentDevice(MeasuringDevice):
    """A machine elsewhere; steps mostly wait for it."""

    here = False
    n_networks = (13, 7)

    def _agent(self) -> Agent:
        with self.context.database.session() as session:
            agent = agents.get_agent(session, self.stored.id)
        if agent is None or agent.seen_at is None:
            raise Unsupported(
                f"device {self.name!r} has no agent that was ever heard of: "
                f"`nas devices token {self.name}` makes a token for one"
            )
        return agent

    def runtimes(self) -> Runtimes:
        """See `MeasuringDevice.runtimes`: as the agent last said."""
        facts: Mapping[str, Any] = self._agent().facts
        return Runtimes(facts["runtimes"], facts["operating_point"])

    def require(self) -> None:
        """See `MeasuringDevice.require`."""
        self._agent()

    def reachable(self) -> bool:
        """See `MeasuringDevice.reachable`: it called not long ago."""
        try:
            seen_at = self._agent().seen_at
        except Unsupported:
            return False
        assert seen_at is not None
        return (now() - seen_at).total_seconds() <= self.context.settings.agent_patience_s

    def profiler(self, *, relearn: bool = False) -> Profiler:
        """See `MeasuringDevice.profiler`."""
        return AgentProfiler(
            self.context, self.stored, self.context.job_id, self.references(), relearn
        )

    def load(
        self,
        files: Files,
        *,
        protocol: Protocol = PROTOCOL,
        on_progress: OnProgress | None = None,
    ) -> LoadedFiles:
        """See `MeasuringDevice.load`."""
        profiler = AgentProfiler(self.context, self.stored, self.context.job_id, self.references())
        return AgentFiles(profiler, files, protocol, on_progress)

    def require_compiled_for(self, runtime: str, *, field: str | None = None) -> None:
        """See `MeasuringDevice.require_compiled_for`."""
        if load(CONVERTERS, runtime).for_this_processor:
            raise Unsupported(
                f"{runtime} compiles for the machine of the service itself, not for device "
                f"{self.name!r}",
                field=field,
            )


class AgentFiles(LoadedFiles):
    """Files that an agent is sent; those of like settings go together."""

    profiler: AgentProfiler

    def __init__(
        self,
        profiler: AgentProfiler,
        files: Files,
        protocol: Protocol,
        on_progress: OnProgress | None,
    ) -> None:
        super().__init__(profiler)
        self._protocol = protocol
        self._on_progress = on_progress
        self._groups: dict[tuple[str, str], tuple[Target, dict[str, Path]]] = {}
        for name, (path, target) in files.items():
            group = self._groups.setdefault(registry.measured_together(target), (target, {}))
            group[1][name] = path

    def measure(self, names: Collection[str], seed: int) -> dict[str, Timing]:
        """See `LoadedFiles.measure`."""
        found: dict[str, Timing] = {}
        for target, models in self._groups.values():
            asked = {name: path for name, path in models.items() if name in names}
            if asked:
                found |= self.profiler.measure(
                    asked,
                    target,
                    protocol=self._protocol,
                    seed=seed,
                    on_progress=self._on_progress,
                )
        return found

    def outputs(self, samples: Path) -> dict[str, Floats]:
        """See `LoadedFiles.outputs`."""
        sent = samples.with_name("sent-samples.npz")
        np.savez(sent, images=read_samples(samples))  # the name that earlier agents know
        found: dict[str, Floats] = {}
        for target, models in self._groups.values():
            found |= self.profiler.outputs(models, target, sent)
        return found

    def answers(self, samples: Sequence[Named]) -> dict[str, list[Named]]:
        """See `LoadedFiles.answers`."""
        found: dict[str, list[Named]] = {}
        with tempfile.TemporaryDirectory() as folder:
            sent = [
                save_feeds(Path(folder) / f"{number}.npz", one)
                for number, one in enumerate(samples)
            ]
            for target, models in self._groups.values():
                found |= self.profiler.answers(models, target, sent)
        return found
