"""A device that is hardly seen in its reference state has moved, whatever its networks take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.protocol import measure
from lookup_tables.measuring.reference import Reference
from lookup_tables.measuring.simulated import Mode, SimulatedMachine
from lookup_tables.measuring.timing import SUSTAINED, Protocol, Timing
from lookup_tables.target import Target
from nas_service.worker.delivery.winner_certificates import sustained_shift
from nas_service.worker.tasks.drift import _compare, _gone

THEN_MS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
TARGET = Target("here", "onnxruntime", "1", "fp32")
PROTOCOL = Protocol(patience_s=2.0)


class SimulatedProfiler:
    """A `Profiler` on a simulated machine; file `i` takes what it took `THEN_MS[i]`."""

    def __init__(self, factor: float, reference: Reference | None) -> None:
        self._simulated = SimulatedMachine((Mode(factor, 1.0),), 1.0, seed=1)
        self._machine = Machine(self._simulated.anchors(), reference, self._simulated)
        self.steadiness: Steadiness | None = None

    @property
    def references(self) -> dict[str, Reference]:
        return {"processor": self._machine.know()}

    def measure(
        self, models: dict[str, Path], target: Target, *, protocol: Protocol, **_: Any
    ) -> dict[str, Timing]:
        del target
        runners = {name: self._simulated.runner(float(THEN_MS[int(name)])) for name in models}
        found = measure(runners, protocol, self._machine)
        self.steadiness = found.steadiness
        return found.timings


def _models() -> dict[str, Path]:
    return {str(i): Path(f"{i}.onnx") for i in range(len(THEN_MS))}


def _reference() -> Reference:
    return SimulatedProfiler(1.0, None).references["processor"]


def test_a_device_in_its_reference_state_has_not_moved() -> None:
    profiler: Any = SimulatedProfiler(1.0, _reference())
    found = _compare(profiler, _models(), TARGET, THEN_MS, 0, PROTOCOL)
    assert found is not None
    assert not found.moved
    assert _gone(profiler) == ""


def test_a_device_whose_reference_state_has_gone_has_moved() -> None:
    profiler: Any = SimulatedProfiler(1.5, _reference())
    assert _compare(profiler, _models(), TARGET, THEN_MS, 0, PROTOCOL) is None
    assert _gone(profiler).startswith("seen in its reference state 0% of the time")
    # anchors feel a slowdown of 50 % as one of 43 to 53 %, and their mean is told
    assert "another state since, 48% slower" in _gone(profiler)


def test_how_much_slower_a_device_is_under_load_is_told_by_its_anchors() -> None:
    burst = _reference()
    hot = {name: 1.3 * ms for name, ms in burst.levels_ms.items()}
    under_load = replace(burst, levels_ms=hot, state=SUSTAINED)
    profiler: Any = SimulatedProfiler(1.0, burst)
    profiler.steadiness = Steadiness(under_load, 1.0, 10.0)
    assert sustained_shift(profiler) == pytest.approx(0.3, abs=1e-3)
    profiler.steadiness = Steadiness(burst, 1.0, 10.0)
    assert sustained_shift(profiler) is None
