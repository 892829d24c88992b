"""Profilers time model files on a target; the one here runs them on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from lookup_tables.conditions import meter_of_this_machine
from lookup_tables.measure import Protocol as MeasuringProtocol
from lookup_tables.measure import Timing, measure
from lookup_tables.runtimes import runner
from lookup_tables.target import Target


class Profiler(Protocol):
    """Times files on a target and builds none.

    `measure` may be called again with other files; files are read only. A file that does not
    load raises the runtime's own error.
    """

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: MeasuringProtocol,
        budget_s: float | None = None,
        seed: int = 0,
        on_round: Callable[[int, int], None] | None = None,
    ) -> dict[str, Timing]:
        """Time each named file, interleaved: one `Timing` a name."""
        ...


class LocalProfiler:
    """Whatever runtime a target names, on the machine that this runs on."""

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: MeasuringProtocol,
        budget_s: float | None = None,
        seed: int = 0,
        on_round: Callable[[int, int], None] | None = None,
    ) -> dict[str, Timing]:
        """Time each file with `target.threads` threads; see the protocol class."""
        runners = {name: runner(path, target) for name, path in models.items()}
        return measure(
            runners,
            protocol,
            seed=seed,
            budget_s=budget_s,
            on_round=on_round,
            meter=meter_of_this_machine(),
        )
