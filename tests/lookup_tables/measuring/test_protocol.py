"""The protocol on machines whose truth is known: simulated ones, on a clock that they move."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.protocol import Measured, measure
from lookup_tables.measuring.simulated import ANCHORS_MS, Mode, SimulatedMachine
from lookup_tables.measuring.timing import SUSTAINED, Protocol

FILES_MS = {"small": 0.03, "middle": 0.1, "large": 0.4}
TWO_MODES = (Mode(1.0, 0.75), Mode(1.8, 0.25))


def _machine(simulated: SimulatedMachine) -> Machine:
    return Machine(simulated.anchors(), clock=simulated)


def _measured(
    simulated: SimulatedMachine,
    machine: Machine | None = None,
    protocol: Protocol | None = None,
    **options: object,
) -> Measured:
    runners = {name: simulated.runner(ms) for name, ms in FILES_MS.items()}
    given = protocol or Protocol()
    return measure(runners, given, machine or _machine(simulated), **options)  # type: ignore[arg-type]


def _errors(found: Measured, simulated: SimulatedMachine) -> np.ndarray:
    true = [simulated.truth_ms(ms) for ms in FILES_MS.values()]
    return np.array([one.p50_ms for one in found.timings.values()]) / np.array(true) - 1.0


def test_a_steady_machine_is_measured_in_the_fewest_turns() -> None:
    simulated = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    found = _measured(simulated)
    assert np.abs(_errors(found, simulated)).max() < 0.01
    assert all(one.n_turns == 8 and one.stable for one in found.timings.values())
    assert found.steadiness.state_share > 0.99


@pytest.mark.parametrize("dwell_s", [0.2, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_two_modes_give_the_latency_of_the_common_one(dwell_s: float, seed: int) -> None:
    simulated = SimulatedMachine(TWO_MODES, dwell_s, seed=seed, spike_share=0.02)
    machine = _machine(simulated)
    machine.watch(200.0)  # long enough to know which mode is the common one
    found = _measured(simulated, machine)
    assert np.abs(_errors(found, simulated)).max() < 0.02
    assert all(one.stable for one in found.timings.values())
    assert all(one.n_turns >= 8 for one in found.timings.values())


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_reference_is_never_silent(seed: int) -> None:
    """Modes that are about as common and last long: a short watch takes either, and says so."""
    simulated = SimulatedMachine((Mode(1.0, 0.55), Mode(1.8, 0.45)), 3.0, seed=seed)
    machine = _machine(simulated)
    found = _measured(simulated, machine)
    assert machine.reference is not None
    assert found.steadiness.reference.doubt


def test_sessions_repeat_where_their_machine_does_not() -> None:
    """Medians over whatever came would be .8 apart; those in the reference state hardly are."""
    simulated = SimulatedMachine(TWO_MODES, 2.0, seed=3)
    machine = _machine(simulated)
    machine.watch(60.0)
    sessions = np.array(
        [
            [one.p50_ms for one in _measured(simulated, machine, seed=number).timings.values()]
            for number in range(10)
        ]
    )
    assert (sessions.std(axis=0, ddof=1) / sessions.mean(axis=0)).max() < 0.005


def test_what_was_observed_is_told_beside_the_reference_state() -> None:
    """With 75 % at 1 and 25 % at 1.8, the median is the fast mode's and p90 the slow one's."""
    simulated = SimulatedMachine(TWO_MODES, 0.5, seed=0)
    machine = _machine(simulated)
    machine.watch(60.0)
    found = _measured(simulated, machine, replace(Protocol(), least_s=20.0)).timings["middle"]
    assert found.state_share == pytest.approx(0.75, abs=0.15)
    assert found.observed_p50_ms == pytest.approx(found.p50_ms, rel=0.03)
    assert found.observed_p90_ms == pytest.approx(1.8 * found.p50_ms, rel=0.03)


def test_a_state_that_does_not_come_back_leaves_files_unstable_with_the_reason() -> None:
    steady = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    machine = _machine(steady)
    _measured(steady, machine)
    slow = SimulatedMachine((Mode(1.5, 1.0),), 1.0, seed=1)
    later = Machine(slow.anchors(), machine.reference, slow)
    began_s = slow.now_s
    found = _measured(slow, later, Protocol(patience_s=5.0))
    for one in found.timings.values():
        assert not one.stable
        assert one.n_turns == 0
        assert one.reason == (
            "the machine was in its reference state 0% of the time: 0 turns count, 4 are needed"
        )
    assert 5.0 <= slow.now_s - began_s < 8.0
    assert "another state since" in found.steadiness.reference.doubt
    assert later.reference is not None
    assert machine.reference is not None
    assert later.reference.levels_ms == machine.reference.levels_ms


def test_a_budget_ends_waiting_but_every_file_has_had_a_turn() -> None:
    steady = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    machine = _machine(steady)
    _measured(steady, machine)
    slow = SimulatedMachine((Mode(1.5, 1.0),), 1.0, seed=1)
    found = _measured(slow, Machine(slow.anchors(), machine.reference, slow), budget_s=0.01)
    assert all(one.n > 0 for one in found.timings.values())
    assert slow.now_s < 2.0


def test_a_file_that_varies_by_itself_takes_more_turns_and_is_flagged() -> None:
    simulated = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    generator = np.random.default_rng(0)

    def wild() -> None:
        simulated.now_s += float(np.exp(generator.standard_normal())) * wild_s[0]

    def turn() -> None:  # differs from turn to turn, not from run to run
        wild_s[0] = 1e-4 * float(np.exp(generator.standard_normal()))

    wild_s = [1e-4]
    calls = [0]

    def runner() -> None:
        if calls[0] % 12 == 0:
            turn()
        calls[0] += 1
        wild()

    found = measure({"wild": runner}, Protocol(), _machine(simulated)).timings["wild"]
    assert not found.stable
    assert found.n_turns == 32
    assert found.reason.startswith("its runs differ by themselves")


def test_turns_are_judged_anew_where_the_common_state_turns_out_to_be_another() -> None:
    """The first seconds are all slow, the rest is fast: turns of the first seconds do not count."""
    simulated = SimulatedMachine((Mode(1.0, 1.0),), 1e9, seed=0)
    simulated._factor = 1.6  # the state that it happens to start in
    runners = {name: simulated.runner(ms) for name, ms in FILES_MS.items()}

    def falls_back(run: Callable[[], object]) -> Callable[[], object]:
        def wrapped() -> None:
            if simulated.now_s > 3.0:
                simulated._factor = 1.0
            run()

        return wrapped

    wrapped = {name: falls_back(run) for name, run in runners.items()}
    protocol = replace(Protocol(), least_s=30.0)
    found = measure(wrapped, protocol, _machine(simulated))
    assert np.abs(_errors(found, simulated)).max() < 0.01
    assert found.steadiness.state_share > 0.8


def test_slow_files_are_run_less_often_a_turn() -> None:
    simulated = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    found = measure(
        {"slow": simulated.runner(90.0), "fast": simulated.runner(1.0)},
        Protocol(turn_s=0.2),
        _machine(simulated),
    ).timings
    assert found["slow"].n == 8 * 2
    assert found["fast"].n == 8 * 10


def test_files_may_have_a_protocol_of_their_own() -> None:
    simulated = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    light = Protocol(turns=3, repeats=5)
    found = _measured(simulated, protocols={"small": light}).timings
    assert found["small"].n == 3 * 5
    assert found["large"].n == 8 * 10


def test_a_throttled_machine_is_measured_under_load_and_told_from_a_burst() -> None:
    def throttling(seed: int) -> SimulatedMachine:
        return SimulatedMachine(
            (Mode(1.0, 1.0),), 1.0, seed=seed, throttled_after_s=60.0, throttled_factor=1.3
        )

    burst = _measured(throttling(0))
    simulated = throttling(1)
    machine = Machine(simulated.anchors(), clock=simulated, state=SUSTAINED)
    found = _measured(simulated, machine, Protocol(sustained_s=90.0))
    for name, one in found.timings.items():
        assert one.state == SUSTAINED
        assert one.stable
        assert one.p50_ms == pytest.approx(1.3 * burst.timings[name].p50_ms, rel=0.02)


def test_progress_says_what_is_waited_for() -> None:
    steady = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    machine = _machine(steady)
    _measured(steady, machine)
    slow = SimulatedMachine((Mode(1.5, 1.0),), 1.0, seed=1)
    told: list[tuple[float, str]] = []
    _measured(
        slow,
        Machine(slow.anchors(), machine.reference, slow),
        Protocol(patience_s=5.0),
        on_progress=lambda fraction, note: told.append((fraction, note)),
    )
    assert told
    assert all(0.0 <= fraction <= 1.0 for fraction, _ in told)
    assert told[-1][1] == "waiting for the machine's reference state (in it 0% of the time)"


def test_energy_is_that_of_one_run_in_turns_that_count() -> None:
    simulated = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    # two watts while it works
    found = _measured(simulated, meter=lambda: 2.0 * simulated.now_s).timings["large"]
    assert found.energy_mj == pytest.approx(2.0 * found.p50_ms, rel=0.02)


def test_nothing_to_measure_learns_the_reference_alone() -> None:
    simulated = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    found = measure({}, Protocol(), _machine(simulated))
    assert found.timings == {}
    assert found.steadiness.reference.levels_ms["compute"] == pytest.approx(
        ANCHORS_MS["compute"], rel=0.02
    )


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_turns_in_another_state_bound_the_latency_in_the_reference_state(factor: float) -> None:
    """A machine that stays slower or faster than it was: no turn counts, but all of them bound."""
    steady = SimulatedMachine((Mode(1.0, 1.0),), 1.0, seed=0)
    machine = _machine(steady)
    _measured(steady, machine)
    other = SimulatedMachine((Mode(factor, 1.0),), 1.0, seed=1)
    found = _measured(
        other, Machine(other.anchors(), machine.reference, other), Protocol(patience_s=5.0)
    )
    for name, true_ms in FILES_MS.items():
        one = found.timings[name]
        assert one.n_turns == 0
        assert one.at_most_ms is not None
        # what a run may feel more of a mode than any anchor does is what the tolerance is for
        assert true_ms * 0.97 <= one.at_most_ms <= 1.7 * true_ms
