import time
from collections.abc import Callable

import numpy as np

from lookup_tables import anchor
from lookup_tables.measure import Protocol, Timing, measure
from nas_service.compilation.benchmark import ATTEMPTS, benchmark, runners_of

PROTOCOL = Protocol(rounds=3, warmups=0, repeats=5, max_spread=5.0, extra_rounds=0)
IMAGE = np.zeros((1, 1, 2, 2), np.float32)


class Sleeper:
    """An executable that takes so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(self, image: np.ndarray) -> np.ndarray:
        time.sleep(self._seconds)
        return image


def _takes(seconds: float, anchor_s: float) -> Callable[[int], dict[str, Timing]]:
    runners = {
        **runners_of({"fp32": (Sleeper(seconds), IMAGE)}),
        anchor.NAME: lambda: time.sleep(anchor_s),
    }
    return lambda seed: measure(runners, PROTOCOL, seed=seed)


def _anchor_ms() -> float:
    """What the anchor below takes on this machine, as a profile would have found it."""
    found = []
    for _ in range(20):
        start = time.perf_counter()
        time.sleep(0.002)
        found.append((time.perf_counter() - start) * 1e3)
    return float(np.median(found))


def test_a_machine_as_it_was_profiled_gives_a_verdict_at_once() -> None:
    done = benchmark(_takes(0.001, 0.002), _anchor_ms(), pause=lambda _: None)
    assert done.timings["fp32"].stable
    assert set(done.timings) == {"fp32"}
    assert abs(done.machine_shift or 0.0) < 0.1


def test_a_machine_that_has_moved_gives_no_verdict_after_several_attempts() -> None:
    pauses: list[float] = []
    done = benchmark(_takes(0.0005, 0.002), _anchor_ms() / 2, pause=pauses.append)
    assert not done.timings["fp32"].stable
    assert (done.machine_shift or 0.0) > 0.5
    assert len(pauses) == ATTEMPTS - 1


def test_without_a_profile_the_shift_is_unknown() -> None:
    done = benchmark(_takes(0.0005, 0.0), None)
    assert done.machine_shift is None
