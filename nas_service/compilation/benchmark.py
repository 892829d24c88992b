"""Time executables, interleaved, by the protocol that tables are measured with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lookup_tables import anchor
from lookup_tables.measure import Protocol, Timing
from nas_service.compilation.base import Executable, FloatArray32

PROTOCOL = Protocol(rounds=20, warmups=3, repeats=10)
ATTEMPTS = 6
PAUSE_S = 4.0

Runner = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One `Timing` a name, and how far the machine was from its profile (None: not known).

    A timing taken on a machine that has moved is not stable, whatever its spread.
    """

    timings: dict[str, Timing]
    machine_shift: float | None
    attempts: int


def runners_of(executables: Mapping[str, tuple[Executable, FloatArray32]]) -> dict[str, Runner]:
    """What runs each executable once on its own prepared image."""
    return {name: _bound(executable, image) for name, (executable, image) in executables.items()}


def benchmark(
    take: Callable[[int], dict[str, Timing]],
    anchor_then_ms: float | None,
    *,
    seed: int = 0,
    attempts: int = ATTEMPTS,
    max_shift: float = anchor.MAX_SHIFT,
    pause: Callable[[float], None] = time.sleep,
) -> Benchmark:
    """Time some files, with the anchor among them: `take(seed)` measures all of them once.

    Where the anchor is not as fast as when the machine was profiled, the measurement waits and is
    taken again; the steadiest attempt nearest to the profile counts. `max_shift` is how much slower
    or faster the anchor may be.
    """
    best: Benchmark | None = None
    best_rank: tuple[bool, int, float] | None = None
    for attempt in range(1, attempts + 1):
        found = take(seed + attempt)
        now = found.pop(anchor.NAME)
        if anchor_then_ms is None:
            return Benchmark(found, None, attempt)
        shift = anchor.shift(now.p50_ms, anchor_then_ms)
        rank = (
            abs(shift) > max_shift,
            sum(not one.stable for one in found.values()),
            abs(shift),
        )
        if best_rank is None or rank < best_rank:
            best, best_rank = Benchmark(found, round(shift, 4), attempt), rank
        if not any(rank[:2]):  # as fast as when it was profiled, and steady
            break
        if attempt < attempts:
            pause(PAUSE_S)
    assert best is not None
    moved = abs(best.machine_shift or 0.0) > max_shift
    timings = {
        name: replace(one, stable=one.stable and not moved) for name, one in best.timings.items()
    }
    return Benchmark(timings, best.machine_shift, best.attempts)


def _bound(executable: Executable, image: FloatArray32) -> Runner:
    return lambda: executable.run(image)
