"""The measuring protocol: interleaved rounds with warm-up, percentiles, a stability gate.

Runners take turns in an order shuffled anew each round, so that a slow spell of the machine falls
on all of them alike. Each turn has untimed warm-ups, then timed repeats; a runner's statistics are
those of all its timed repeats. Where the spread stays wide after extra rounds, the result is
marked as unstable and callers decide what may rest on it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Protocol:
    """How often, and what counts as stable: (p50 - p10) / p10 at most `max_spread`."""

    rounds: int = 12
    warmups: int = 2
    repeats: int = 10
    max_spread: float = 0.10
    extra_rounds: int = 24

    def as_dict(self) -> dict[str, Any]:
        """The protocol as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Timing:
    """Percentiles in ms of `n` runs, and their relative spread."""

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

    def as_dict(self) -> dict[str, Any]:
        """The timing as plain JSON values."""
        return asdict(self)


def measure(
    runners: Mapping[str, Callable[[], object]],
    protocol: Protocol,
    *,
    seed: int = 0,
    budget_s: float | None = None,
    on_round: Callable[[int, int], None] | None = None,
    meter: Callable[[], float] | None = None,
) -> dict[str, Timing]:
    """Time each runner by the protocol; runners not yet stable get extra rounds.

    With a `budget_s` extra rounds, and rounds beyond the third, end when it is spent. `meter` gives
    the joules used so far.
    """
    order = random.Random(seed)  # noqa: S311  # the order of turns is no secret
    samples: dict[str, list[float]] = {name: [] for name in runners}
    shares: dict[str, list[float]] = {name: [] for name in runners}
    joules: dict[str, float] = dict.fromkeys(runners, 0.0)
    started = time.monotonic()

    def spent() -> bool:
        return budget_s is not None and time.monotonic() - started > budget_s

    for number in range(protocol.rounds + protocol.extra_rounds):
        if number >= 3 and spent():
            break
        turn = list(runners)
        if number >= protocol.rounds:
            turn = [name for name in turn if _spread(samples[name]) > protocol.max_spread]
            if not turn:
                break
        order.shuffle(turn)
        for name in turn:
            _warm_up(runners[name], protocol)
            before = meter() if meter else 0.0
            _take(runners[name], protocol, samples[name], shares[name])
            joules[name] += meter() - before if meter else 0.0
        if on_round is not None:
            on_round(number + 1, protocol.rounds)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = {name: _timing(samples[name], shares[name], protocol, now) for name in runners}
    if meter is None:
        return found
    return {
        name: replace(one, energy_mj=round(1e3 * joules[name] / one.n, 6))
        if joules[name] > 0
        else one
        for name, one in found.items()
    }


def _warm_up(runner: Callable[[], object], protocol: Protocol) -> None:
    for _ in range(protocol.warmups):
        runner()


def _take(
    runner: Callable[[], object], protocol: Protocol, samples: list[float], shares: list[float]
) -> None:
    cpu = time.thread_time_ns()
    wall = time.perf_counter_ns()
    for _ in range(protocol.repeats):
        start = time.perf_counter_ns()
        runner()
        samples.append((time.perf_counter_ns() - start) / 1e6)
    elapsed = max(time.perf_counter_ns() - wall, 1)
    shares.append((time.thread_time_ns() - cpu) / elapsed)


def _spread(samples: list[float]) -> float:
    p10, p50 = np.percentile(samples, [10, 50])
    return float((p50 - p10) / p10)


def _timing(samples: list[float], shares: list[float], protocol: Protocol, now: str) -> Timing:
    p10, p50, p90, p99 = (float(v) for v in np.percentile(samples, [10, 50, 90, 99]))
    spread = (p50 - p10) / p10
    return Timing(
        p10_ms=round(p10, 6),
        p50_ms=round(p50, 6),
        p90_ms=round(p90, 6),
        p99_ms=round(p99, 6),
        spread=round(spread, 4),
        n=len(samples),
        stable=spread <= protocol.max_spread,
        measured_at=now,
        cpu_ratio=round(float(np.median(shares)), 3),
    )
