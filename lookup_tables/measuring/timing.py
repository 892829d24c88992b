"""What a measurement gives: how it was taken, and a file's latency in the machine's state."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

REFERENCE, SUSTAINED, UNKNOWN_STATE = "reference", "sustained", "unknown"
"""States that a timing can hold in: the reference state, that after minutes of load, not known."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How often a file is run, and when its latency counts as settled.

    A turn is `warmups` untimed runs and up to `repeats` timed ones (fewer where one run takes so
    long that they would take more than `turn_s`). A turn counts when the anchors on both sides of
    it say that the machine was in its reference state. A file has settled with `turns` of them
    whose median is known to `settled_error` (relative standard error), or with `most_turns`;
    its latency is unstable with fewer than half of `turns`, or above `max_error`. Where the budget
    is not given, a machine outside its reference state is waited for up to `patience_s`.
    `sustained_s` seconds of load come before the first turn, and turns go on for `least_s`.
    """

    turns: int = 8
    most_turns: int = 32
    warmups: int = 2
    repeats: int = 10
    turn_s: float = 0.2
    settled_error: float = 0.005
    max_error: float = 0.03
    patience_s: float = 20.0
    sustained_s: float = 0.0
    least_s: float = 0.0

    @property
    def least_turns(self) -> int:
        """Turns below which a latency is unstable."""
        return max(1, (self.turns + 1) // 2)

    def as_dict(self) -> dict[str, Any]:
        """The protocol as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Timing:
    """Latency of a file in ms: percentiles over `n` runs in turns that count.

    `p50_ms` is the median of those turns' medians, each brought to the levels of the reference by
    what its anchors were off (a few percent at most), `error` its relative standard error, and
    `spread` is (p50 - p10) / p10. `state` names the machine's state that this holds in. The
    `observed` percentiles are over all turns, in whatever state the machine was, each state
    weighted by its share of the time; `state_share` is the share of `state`. `at_most_ms` is the
    slowest turn in any state, each brought to the reference by its anchor that says the most: a
    bound on the latency in the reference state where too few turns count. Where the latency is
    not `stable`, `reason` says why. None stands for what is not known.
    """

    p10_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    spread: float
    n: int
    stable: bool
    measured_at: str
    cpu_ratio: float = field(default=1.0)
    """Processor time over wall time: well below 1 when something else held the core."""
    energy_mj: float | None = None
    """Of one run, the machine's idle share included; None where nothing measures it."""
    state: str = UNKNOWN_STATE
    n_turns: int = 0
    error: float | None = None
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    state_share: float | None = None
    at_most_ms: float | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The timing as plain JSON values."""
        return asdict(self)
