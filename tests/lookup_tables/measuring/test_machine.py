"""A machine under watch: what it learns, holds to and gives up; and the anchors of this one."""

import os
import subprocess
import sys
from typing import Any

import pytest

from lookup_tables.measuring.anchor import read
from lookup_tables.measuring.anchors import processor_anchors
from lookup_tables.measuring.clock import SYSTEM_CLOCK
from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.priority import NICENESS, priority
from lookup_tables.measuring.reference import Reference
from lookup_tables.measuring.simulated import ANCHORS_MS, Mode, SimulatedMachine
from lookup_tables.runtimes.registry import state_of


def _steady(factor: float = 1.0, seed: int = 0) -> SimulatedMachine:
    return SimulatedMachine((Mode(factor, 1.0),), 1.0, seed=seed)


def _known(factor: float = 1.0) -> Reference:
    simulated = _steady(factor)
    machine = Machine(simulated.anchors(), clock=simulated)
    machine.know()
    assert machine.reference is not None
    return machine.reference


def test_a_machine_that_changes_is_watched_for_longer_before_it_is_known() -> None:
    steady, changing = _steady(), SimulatedMachine((Mode(1.0, 0.5), Mode(1.5, 0.5)), 0.3, seed=0)
    for simulated in (steady, changing):
        Machine(simulated.anchors(), clock=simulated).know()
    assert 2.0 <= steady.now_s < 2.5
    assert changing.now_s >= 10.0


def test_a_given_reference_is_held_to_and_confirmed() -> None:
    simulated = _steady(seed=1)
    machine = Machine(simulated.anchors(), _known(), simulated)
    before = machine.know()
    assert machine.confirm()
    machine.watch(5.0)
    machine.review()
    assert machine.reference is not None
    assert machine.reference.levels_ms == before.levels_ms
    assert machine.reference.watched_s > before.watched_s
    assert machine.share() > 0.99


def test_a_reference_that_is_not_seen_any_more_is_learned_again() -> None:
    simulated = _steady(1.4, seed=1)
    machine = Machine(simulated.anchors(), _known(), simulated)
    assert not machine.confirm()
    assert machine.know().levels_ms["compute"] == pytest.approx(
        1.4 * ANCHORS_MS["compute"], rel=0.02
    )


def test_a_reference_of_other_anchors_is_of_no_use() -> None:
    simulated = _steady()
    other = Reference({"gpu compute": 1.0}, {"gpu compute": 0.06}, 1.0, 1, 1.0)
    machine = Machine(simulated.anchors(), other, simulated)
    assert not machine.given
    assert set(machine.know().levels_ms) == {"compute", "memory", "dispatch", "graph"}


def test_a_long_watch_keeps_its_shares_in_a_record_of_bounded_length() -> None:
    simulated = SimulatedMachine((Mode(1.0, 0.7), Mode(1.5, 0.3)), 0.05, seed=0)
    machine = Machine(simulated.anchors(), clock=simulated)
    machine.watch(40.0)
    machine.review()
    assert machine.watched_s == pytest.approx(40.0, rel=0.01)
    assert machine.share() == pytest.approx(0.7, abs=0.06)


def test_this_machine_has_anchors_of_each_character() -> None:
    anchors = processor_anchors()
    assert [one.name for one in anchors] == ["compute", "memory", "dispatch", "graph"]
    reading = read(anchors, SYSTEM_CLOCK)
    assert all(0.001 < ms < 50.0 for ms in reading.values())
    assert state_of("litert") == "processor"
    assert state_of("tensorrt") == "gpu"


def test_numpy_alone_is_enough_for_anchors() -> None:
    """As on a device whose runtime is LiteRT: ONNX Runtime cannot be found there."""
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'onnxruntime' else found(n, *a)\n"
        "from lookup_tables.measuring.machine import Machine\n"
        "from lookup_tables.runtimes.registry import runtime\n"
        "machine = Machine(runtime('litert').anchors()); machine.watch(0.2); machine.review()\n"
        "print(sorted(machine.reference.levels_ms))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['compute', 'dispatch', 'memory']"


def test_priority_is_set_where_it_may_be_and_put_back() -> None:
    before: tuple[Any, ...] = (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0))
    with priority() as given:
        allowed = given.niceness == NICENESS
        assert os.getpriority(os.PRIO_PROCESS, 0) == (NICENESS if allowed else before[0])
        if given.core is not None:
            assert os.sched_getaffinity(0) == {given.core}
        assert allowed or given.core is None
    assert (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0)) == before


def test_a_doubt_is_not_lost_by_looking_again_without_seeing_more() -> None:
    simulated = _steady(seed=1)
    machine = Machine(simulated.anchors(), _known(), simulated)
    for _ in range(5):  # sessions of one second, all within the same stay
        machine.watch(1.0)
        machine.review()
        machine.hold()
    assert machine.reference is not None
    assert machine.reference.visits == 1
    assert "seen in one state" in machine.reference.doubt
    machine.watch(320.0)
    machine.review()
    assert machine.reference.doubt == ""
