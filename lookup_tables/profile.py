"""Profilers time model files on a target; the one here runs them on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from lookup_tables.conditions import meter_of_this_machine
from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.protocol import OnProgress, measure
from lookup_tables.measuring.reference import Reference
from lookup_tables.measuring.timing import REFERENCE, SUSTAINED, Timing
from lookup_tables.measuring.timing import Protocol as MeasuringProtocol
from lookup_tables.runtimes.registry import runner, runtime, state_of
from lookup_tables.target import Target

References = Mapping[str, Reference]
"""The state of a device by kind of anchors: `processor`, `gpu`, `processor sustained` ..."""
NO_PROTOCOLS: Mapping[str, MeasuringProtocol] = MappingProxyType({})


class Profiler(Protocol):
    """Times files on a target and builds none.

    `measure` may be called again with other files; files are read only. A file that does not
    load raises the runtime's own error.
    """

    @property
    def references(self) -> References:
        """The states that timings hold in, as they are known now."""
        ...

    @property
    def steadiness(self) -> Steadiness | None:
        """How steady the device was in the last measurement; None where nothing tells."""
        ...

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: MeasuringProtocol,
        protocols: Mapping[str, MeasuringProtocol] = NO_PROTOCOLS,
        budget_s: float | None = None,
        seed: int = 0,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Timing]:
        """Time each named file, interleaved, by its own of `protocols` or by `protocol`."""
        ...


class LocalProfiler:
    """Whatever runtime a target names, on the machine that this runs on.

    Holds to `references` where they are given, and learns what is not known with the first files;
    with `relearn` also what is known but not seen any more.
    """

    def __init__(
        self, references: References = MappingProxyType({}), *, relearn: bool = False
    ) -> None:
        self._given = dict(references)
        self._relearn = relearn
        self._machines: dict[str, Machine] = {}
        self.steadiness: Steadiness | None = None

    @property
    def references(self) -> References:
        """See `Profiler`."""
        known = {kind: one.reference for kind, one in self._machines.items() if one.reference}
        return {**self._given, **known}

    def machine(self, name: str, *, sustained: bool = False) -> Machine:
        """What watches this machine for files of a runtime."""
        kind = f"{state_of(name)} {SUSTAINED}" if sustained else state_of(name)
        if kind not in self._machines:
            state = SUSTAINED if sustained else REFERENCE
            self._machines[kind] = Machine(
                runtime(name).anchors(), self._given.get(kind), state=state
            )
            if self._relearn:
                self._machines[kind].confirm()
        return self._machines[kind]

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: MeasuringProtocol,
        protocols: Mapping[str, MeasuringProtocol] = NO_PROTOCOLS,
        budget_s: float | None = None,
        seed: int = 0,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Timing]:
        """Time each file with `target.threads` threads; see the protocol class."""
        return self.measure_loaded(
            {name: runner(path, target) for name, path in models.items()},
            dict.fromkeys(models, target),
            protocol=protocol,
            protocols=protocols,
            budget_s=budget_s,
            seed=seed,
            on_progress=on_progress,
        )

    def measure_loaded(
        self,
        runners: Mapping[str, Callable[[], object]],
        targets: Mapping[str, Target],
        *,
        protocol: MeasuringProtocol,
        protocols: Mapping[str, MeasuringProtocol] = NO_PROTOCOLS,
        budget_s: float | None = None,
        seed: int = 0,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Timing]:
        """Time files that are loaded already, whatever their runtimes; see `measure`."""
        found: dict[str, Timing] = {}
        kinds: dict[str, list[str]] = {}
        for name in runners:
            kinds.setdefault(state_of(targets[name].runtime), []).append(name)
        for names in kinds.values():
            some = measure(
                {name: runners[name] for name in names},
                protocol,
                self.machine(targets[names[0]].runtime, sustained=protocol.sustained_s > 0),
                protocols=protocols,
                threads=max(targets[name].threads for name in names),
                seed=seed,
                budget_s=budget_s,
                on_progress=on_progress,
                meter=meter_of_this_machine(),
            )
            self.steadiness = some.steadiness
            found |= some.timings
        return {name: found[name] for name in runners}


def references_from(values: Mapping[str, Any] | None) -> dict[str, Reference]:
    """References from the plain JSON values of a device's facts."""
    return {kind: Reference.from_dict(one) for kind, one in (values or {}).items()}


def references_as_dict(references: References) -> dict[str, Any]:
    """The inverse of `references_from`."""
    return {kind: one.as_dict() for kind, one in references.items()}
