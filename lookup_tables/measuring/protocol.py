"""The measuring protocol: turns between anchors, until enough of them count.

Files take turns in an order shuffled anew each round, so that a slow spell of the machine falls on
all of them alike. A turn has the anchors on both sides; it counts when both say that the machine
was in its reference state. Outside of it the anchors are read until it is back, and now and then a
turn is taken all the same, so that what was observed over all states is reported too. Every turn is
kept, and where the reference was learned in the same go, all turns are judged by what it came to
be in the end.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np

from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.priority import priority
from lookup_tables.measuring.reference import FloatArray
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.measuring.turns import (
    Turn,
    deviation_of,
    error_of_median,
    medians_of,
    observed_of,
)

Runner = Callable[[], object]
OnProgress = Callable[[float, str], None]
"""Called with the share that has settled, and what is waited for, if anything."""

_REVIEW_S = 5.0
"""How often a reference that is being learned is looked for anew."""
_WAIT_S = 0.1
"""How long the anchors are read before a turn is taken outside the reference state."""
_PROGRESS_S = 0.5
_WORK = 2.0
"""Without a budget, waiting may take the patience and so many times the time in the state."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A timing a file, how steady the machine was, and what the thread was given."""

    timings: dict[str, Timing]
    steadiness: Steadiness


def measure(
    runners: Mapping[str, Runner],
    protocol: Protocol,
    machine: Machine,
    *,
    protocols: Mapping[str, Protocol] = MappingProxyType({}),
    threads: int = 1,
    seed: int = 0,
    budget_s: float | None = None,
    on_progress: OnProgress | None = None,
    meter: Callable[[], float] | None = None,
) -> Measured:
    """Time each runner until its latency in the machine's reference state is settled.

    What `protocols` has for a runner's name goes before `protocol`, but for patience and load.

    Ends when all are settled or `budget_s` is spent (but for one turn a runner); without a budget
    when the machine was waited for as long as the protocol allows. `meter` gives the joules used so
    far.
    """
    with priority(threads) as granted:
        session = _Session(
            runners, protocol, protocols, machine, seed, budget_s, on_progress, meter
        )
        session.run()
        timings = session.timings()
        n_unsettled, more_s = session.unsettled()
        steadiness = replace(
            machine.steadiness(),
            niceness=granted.niceness,
            core=granted.core,
            n_unsettled=n_unsettled,
            more_s=more_s,
        )
    machine.hold()
    return Measured(timings, steadiness)


class _Session:
    """The state of one call of `measure`."""

    def __init__(
        self,
        runners: Mapping[str, Runner],
        protocol: Protocol,
        protocols: Mapping[str, Protocol],
        machine: Machine,
        seed: int,
        budget_s: float | None,
        on_progress: OnProgress | None,
        meter: Callable[[], float] | None,
    ) -> None:
        self._runners = runners
        self._protocol = protocol
        self._of = {name: protocols.get(name, protocol) for name in runners}
        self._machine = machine
        self._clock = machine.clock
        self._order = random.Random(seed)  # noqa: S311  # the order of turns is no secret
        self._budget_s = budget_s
        self._on_progress = on_progress
        self._meter = meter
        self._turns: dict[str, list[Turn]] = {name: [] for name in runners}
        self._pending = set(runners)
        self._started_s = self._now_s()
        self._waited_s = self._inside_s = 0.0
        self._reviewed_s = self._told_s = self._started_s

    def run(self) -> None:
        """Take turns until nothing is pending or the time is over."""
        if not self._runners:
            self._machine.know()
            return
        if self._protocol.sustained_s > 0:
            self._load()
        self._machine.know()
        self._started_s = self._now_s()
        reading: Mapping[str, float] = self._machine.read()
        queue: list[str] = []
        while (self._pending or self._early()) and not self._over():
            reading, inside = self._until_inside(reading)
            if not queue:
                waiting = self._pending or self._runners
                queue = [name for name in self._runners if name in waiting]
                self._order.shuffle(queue)
            name = queue.pop()
            if self._pending and name not in self._pending:
                continue
            if not self._pending:  # nothing is left to settle: the time is looked at now and then
                self._machine.watch(_WAIT_S)
                reading, inside = self._until_inside(self._machine.read())
            began_s = self._now_s()
            turn = self._take(name, reading)
            reading = turn.after
            self._turns[name].append(turn)
            turn.counts = inside and self._machine.holds(turn.after)
            if turn.counts:
                self._inside_s += self._now_s() - began_s
                self._settle(name)
            else:
                self._waited_s += self._now_s() - began_s
            self._review()
            self._tell("" if turn.counts else "waiting for the machine's reference state")
        self._machine.review()
        self._judge_all()

    def timings(self) -> dict[str, Timing]:
        """What came of it, a timing a file."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        share = self._machine.share()
        deviations = [
            deviation_of(medians)
            for name, turns in self._turns.items()
            if len(medians := medians_of(turns, counting=True)) >= self._of[name].least_turns
        ]
        usual = float(np.median(deviations)) if deviations else 0.0
        return {
            name: self._timing(self._of[name], turns, share, usual, now)
            for name, turns in self._turns.items()
        }

    def unsettled(self) -> tuple[int, float | None]:
        """Files that have not settled, and about how many seconds more would settle them."""
        if not self._pending:
            return 0, None
        n_counting = sum(turn.counts for turns in self._turns.values() for turn in turns)
        if n_counting == 0:
            return len(self._pending), None
        each_s = (self._inside_s + self._waited_s) / n_counting
        missing = 0.0
        for name in self._pending:
            medians, protocol = medians_of(self._turns[name], counting=True), self._of[name]
            needed = float(protocol.turns)
            if len(medians) > 1:
                times = error_of_median(medians, deviation_of(medians)) / protocol.settled_error
                needed = max(needed, min(len(medians) * times**2, protocol.most_turns))
            missing += max(needed - len(medians), 1.0)
        return len(self._pending), round(missing * each_s, 1)

    def _now_s(self) -> float:
        return self._clock.wall_ns() / 1e9

    def _early(self) -> bool:
        return self._now_s() - self._started_s < self._protocol.least_s

    def _over(self) -> bool:
        if not all(self._turns.values()):
            return False  # every file has one turn, whatever it says
        if self._budget_s is not None:
            return self._now_s() - self._started_s > self._budget_s
        return self._waited_s > self._protocol.patience_s + _WORK * self._inside_s

    def _load(self) -> None:
        """Run the files one after the other, as long as the protocol asks for."""
        began_s = self._now_s()
        while (gone_s := self._now_s() - began_s) < self._protocol.sustained_s:
            for runner in self._runners.values():
                runner()
            self._tell(f"under load for {gone_s:.0f} of {self._protocol.sustained_s:.0f} s")

    def _until_inside(self, reading: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        """Wait a moment for the reference state: the newest reading, and whether it is there."""
        began_s = now_s = self._now_s()
        while not self._machine.holds(reading) and now_s - began_s < _WAIT_S:
            reading = self._machine.read()
            now_s = self._now_s()
        self._waited_s += now_s - began_s
        return reading, self._machine.holds(reading)

    def _take(self, name: str, before: Mapping[str, float]) -> Turn:
        runner, clock, protocol = self._runners[name], self._clock, self._of[name]
        run_s = 0.0
        for _ in range(protocol.warmups):
            start = clock.wall_ns()
            runner()
            run_s = (clock.wall_ns() - start) / 1e9
            if run_s * protocol.repeats > protocol.turn_s:
                break
        repeats = protocol.repeats
        if run_s > 0:
            repeats = max(1, min(repeats, int(protocol.turn_s / run_s)))
        joules = self._meter() if self._meter else 0.0
        cpu, wall = clock.cpu_ns(), clock.wall_ns()
        runs_ms = []
        for _ in range(repeats):
            start = clock.wall_ns()
            runner()
            runs_ms.append((clock.wall_ns() - start) / 1e6)
        elapsed = max(clock.wall_ns() - wall, 1)
        ratio = (clock.cpu_ns() - cpu) / elapsed
        joules = self._meter() - joules if self._meter else 0.0
        after = self._machine.read()
        return Turn(before, after, runs_ms, statistics.median(runs_ms), ratio, joules)

    def _settle(self, name: str) -> None:
        if name not in self._pending:
            return
        medians, protocol = medians_of(self._turns[name], counting=True), self._of[name]
        if len(medians) < protocol.turns:
            return
        if (
            len(medians) >= protocol.most_turns
            or error_of_median(medians, deviation_of(medians)) <= protocol.settled_error
        ):
            self._pending.discard(name)

    def _review(self) -> None:
        if self._machine.given or self._now_s() - self._reviewed_s < _REVIEW_S:
            return
        if self._machine.review():
            self._judge_all()
        self._reviewed_s = self._now_s()

    def _judge_all(self) -> None:
        """Judge every turn by the reference as it is known now."""
        self._pending = set(self._runners)
        for name, turns in self._turns.items():
            for turn in turns:
                turn.counts = self._machine.holds(turn.before) and self._machine.holds(turn.after)
            self._settle(name)

    def _tell(self, note: str) -> None:
        now_s = self._now_s()
        if self._on_progress is None or now_s - self._told_s < _PROGRESS_S:
            return
        self._told_s = now_s
        done = sum(
            min(sum(turn.counts for turn in turns) / self._of[name].turns, 1.0)
            if name in self._pending
            else 1.0
            for name, turns in self._turns.items()
        )
        fraction = done / len(self._turns)
        if self._budget_s:
            fraction = max(fraction, min((now_s - self._started_s) / self._budget_s, 1.0))
        if note:
            note += f" (in it {self._machine.share():.0%} of the time)"
        self._on_progress(fraction, note)

    def _timing(
        self, protocol: Protocol, turns: list[Turn], share: float, usual: float, now: str
    ) -> Timing:
        counting = [turn for turn in turns if turn.counts]
        used = counting or turns
        medians = medians_of(used, counting=False) * self._scales(used)
        runs = np.concatenate(
            [np.array(t.runs_ms) * one for t, one in zip(used, self._scales(used), strict=True)]
        )
        p10, p90, p99 = (float(v) for v in np.percentile(runs, [10, 90, 99]))
        p50 = float(np.median(medians))
        p10, p90 = min(p10, p50), max(p90, p50)
        error = error_of_median(medians, max(deviation_of(medians), 0.5 * usual))
        reason = self._reason(protocol, len(counting), error, share)
        joules = sum(turn.joules for turn in used)
        observed = observed_of(turns, share)
        return Timing(
            p10_ms=round(p10, 6),
            p50_ms=round(p50, 6),
            p90_ms=round(p90, 6),
            p99_ms=round(max(p99, p90), 6),
            spread=round((p50 - p10) / p10, 4),
            n=len(runs),
            stable=not reason,
            measured_at=now,
            cpu_ratio=round(float(np.median([turn.cpu_ratio for turn in used])), 3),
            energy_mj=round(1e3 * joules / len(runs), 6) if joules > 0 else None,
            state=self._machine.state,
            n_turns=len(counting),
            error=round(error, 5),
            observed_p50_ms=round(observed[0], 6),
            observed_p90_ms=round(observed[1], 6),
            state_share=round(share, 4),
            at_most_ms=self._at_most_ms(protocol, turns),
            reason=reason,
        )

    def _scales(self, turns: list[Turn]) -> FloatArray:
        """What brings each turn to the levels of the reference, `(n,)`: 1 where it does not count.

        Within the tolerance a machine may still be some percent off; its anchors tell how much.
        """
        reference = self._machine.know()
        shifts = [
            (reference.shift(t.before) + reference.shift(t.after)) / 2.0 if t.counts else 0.0
            for t in turns
        ]
        return np.asarray(1.0 / (1.0 + np.array(shifts)))

    def _at_most_ms(self, protocol: Protocol, turns: list[Turn]) -> float | None:
        """The slowest turn's median as it would be in the reference state, or more; in ms."""
        if len(turns) < protocol.least_turns:
            return None
        reference = self._machine.know()
        bounds = (
            turn.median_ms * max(reference.slowdown(turn.before), reference.slowdown(turn.after))
            for turn in turns
        )
        return round(max(bounds), 6)

    def _reason(self, protocol: Protocol, n_turns: int, error: float, share: float) -> str:
        """Why a latency is unstable; empty where it is not."""
        if n_turns < protocol.least_turns:
            return (
                f"the machine was in its {self._machine.state} state {share:.0%} of the time: "
                f"{n_turns} turns count, {protocol.least_turns} are needed"
            )
        if error > protocol.max_error:
            return (
                f"its runs differ by themselves: the median of {n_turns} turns is known to "
                f"{error:.1%}, {protocol.max_error:.1%} is needed"
            )
        return ""
