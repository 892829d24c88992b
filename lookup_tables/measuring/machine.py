"""A machine under watch: its anchors, its reference state, and how much of the time it is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from lookup_tables.measuring.anchor import Anchor, read
from lookup_tables.measuring.clock import SYSTEM_CLOCK, Clock
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.reference import FloatArray, Reference, doubt, find_reference
from lookup_tables.measuring.timing import REFERENCE

FIRST_WATCH_S, LONGEST_FIRST_WATCH_S = 2.0, 10.0
"""How long a machine is watched before the first turn, where its reference is not known; it is
watched for longer where it changes."""
LEAST_SHARE = 0.05
"""A reference state that is seen less often than this has gone."""
_STEADY = 0.9
_LONGEST_GAP_S = 1.0
"""A reading stands for no more time than this."""
_MOST_READINGS = 40_000
"""Beyond so many every second one is dropped: a long watch needs no finer record."""


@dataclass
class Machine:
    """Reads anchors, and knows or learns the state that measurements hold in.

    With a `reference` that is `given`, that one is held to; otherwise it is learned from what is
    read, again and again while measurements go on. Used from one thread.
    """

    anchors: Sequence[Anchor]
    reference: Reference | None = None
    clock: Clock = SYSTEM_CLOCK
    state: str = REFERENCE
    given: bool = field(init=False)
    _logs: list[list[float]] = field(init=False, default_factory=list)
    _seconds: list[float] = field(init=False, default_factory=list)
    _last_ns: int = field(init=False, default=0)
    _before: Reference | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        names = [one.name for one in self.anchors]
        if self.reference is not None and not self.reference.fits(names):
            self.reference = None  # of other anchors: a runtime came or went
        self.given = self.reference is not None
        self._before = self.reference

    @property
    def watched_s(self) -> float:
        """How long it was watched."""
        return float(sum(self._seconds))

    def read(self) -> dict[str, float]:
        """Read all anchors once, and note the state."""
        reading = read(self.anchors, self.clock)
        now = self.clock.wall_ns()
        gap = (now - self._last_ns) / 1e9 if self._last_ns else 0.0
        self._last_ns = now
        self._logs.append([float(np.log(reading[one.name])) for one in self.anchors])
        self._seconds.append(min(gap, _LONGEST_GAP_S))
        if len(self._logs) > _MOST_READINGS:
            self._logs = self._logs[::2]
            self._seconds = np.add.reduceat(
                self._seconds, np.arange(0, len(self._seconds), 2)
            ).tolist()
        return reading

    def holds(self, reading: Mapping[str, float]) -> bool:
        """Whether a reading is of the reference state."""
        return self.reference is not None and self.reference.holds(reading)

    def watch(self, seconds: float) -> None:
        """Read anchors for so long."""
        until = self.clock.wall_ns() + int(1e9 * seconds)
        while self.clock.wall_ns() < until:
            self.read()

    def know(self) -> Reference:
        """The reference state; where it is not known the machine is watched for a while."""
        if self.reference is None:
            while self.reference is None or (
                self.reference.share < _STEADY and self.watched_s < LONGEST_FIRST_WATCH_S
            ):
                self.watch(FIRST_WATCH_S)
                self.review()
        return self.reference

    def confirm(self) -> bool:
        """Watch for the reference that was given, and forget it where it is hardly ever seen."""
        if not self.given:
            return False
        began_s = self.watched_s
        while (seen := self.share()) < LEAST_SHARE:
            if self.watched_s - began_s > LONGEST_FIRST_WATCH_S:
                break
            self.watch(FIRST_WATCH_S)
        if seen >= LEAST_SHARE:
            return True
        self.reference = self._before = None
        self.given = False
        return False

    def hold(self) -> None:
        """Hold to the reference as it is known now: further measurements have to agree with it."""
        self._before = self.know()
        self.given = True
        self._logs.clear()
        self._seconds.clear()

    def review(self) -> bool:
        """Learn from everything that was read; True where the reference became another one.

        A reference that was given stays; its share and its doubts are those of this watch.
        """
        if not self._logs:
            return False
        logs, seconds = self._readings()
        found = find_reference([one.name for one in self.anchors], logs, seconds)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if self._before is None:
            before = self.reference
            learned = before.learned_at if before else now
            self.reference = replace(found, state=self.state, learned_at=learned, confirmed_at=now)
            return before is not None and not before.holds(found.levels_ms)
        self.reference = _seen_again(self._before, found, self.share(), now)
        return False

    def share(self) -> float:
        """The share of the watched time that was spent in the reference state."""
        if self.reference is None or not self._logs:
            return 0.0
        logs, seconds = self._readings()
        columns = [n for n, one in enumerate(self.anchors) if one.name in self.reference.levels_ms]
        names = [self.anchors[n].name for n in columns]
        levels = np.log([self.reference.levels_ms[name] for name in names])
        reach = np.array([self.reference.tolerances[name] for name in names])
        inside = (np.abs(logs[:, columns] - levels) <= reach).all(axis=1)
        total = seconds.sum()
        return float(seconds[inside].sum() / total) if total > 0 else float(inside.mean())

    def steadiness(self) -> Steadiness:
        """How steady the machine was while it was watched."""
        return Steadiness(self.know(), round(self.share(), 4), round(self.watched_s, 1))

    def _readings(self) -> tuple[FloatArray, FloatArray]:
        return np.array(self._logs), np.array(self._seconds)


def _seen_again(before: Reference, found: Reference, share: float, now: str) -> Reference:
    """A reference that was held to, after the machine was watched for longer."""
    both_s = before.watched_s + found.watched_s
    # a stay that goes on from watch to watch is one: only leaving and coming back is another
    again = max(found.visits - 1, 0) if before.holds(found.levels_ms) else int(share > 0)
    seen = replace(
        before,
        share=round((before.share * before.watched_s + share * found.watched_s) / both_s, 4),
        visits=before.visits + again,
        watched_s=round(both_s, 1),
        confirmed_at=now if share > 0 else before.confirmed_at,
    )
    moved = not before.holds(found.levels_ms) and found.share > 2.0 * share
    if moved:
        way = "slower" if before.shift(found.levels_ms) > 0 else "faster"
        text = (
            f"the machine has been in another state since, "
            f"{abs(before.shift(found.levels_ms)):.0%} {way}, {found.share:.0%} of the time "
            f"against {share:.0%}"
        )
        return replace(seen, doubt=text)
    if before.doubt and before.rival_share > 0:  # a short look more settles nothing between two
        return replace(seen, doubt=before.doubt)
    return replace(seen, doubt=doubt(seen))
