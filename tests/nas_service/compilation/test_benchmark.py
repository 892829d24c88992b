from collections.abc import Callable

import numpy as np
import pytest

from lookup_tables import anchor
from lookup_tables.measure import Timing
from nas_service.compilation.benchmark import ATTEMPTS, benchmark, runners_of

NOW = "2026-01-01T00:00:00+00:00"


def _timing(p50_ms: float, *, stable: bool = True) -> Timing:
    return Timing(p50_ms, p50_ms, p50_ms, p50_ms, 0.0, 10, stable, NOW)


def _sessions(
    *anchors_ms: float, steady: tuple[bool, ...] = (True,)
) -> Callable[[int], dict[str, Timing]]:
    """What one session after the other finds of the anchor; a file takes its session's number."""
    taken: list[int] = []

    def take(seed: int) -> dict[str, Timing]:
        number = len(taken)
        taken.append(seed)
        assert len(set(taken)) == len(taken)  # each session in an order of its own
        return {
            "fp32": _timing(1.0 + number, stable=steady[min(number, len(steady) - 1)]),
            anchor.NAME: _timing(anchors_ms[min(number, len(anchors_ms) - 1)]),
        }

    return take


def _never(_: float) -> None:
    raise AssertionError("nothing had to be waited for")


def test_a_machine_as_it_was_profiled_gives_a_verdict_at_once() -> None:
    done = benchmark(_sessions(2.1), 2.0, pause=_never)
    assert done.timings == {"fp32": _timing(1.0)}
    assert done.machine_shift == pytest.approx(0.05)
    assert done.attempts == 1


def test_a_machine_that_has_moved_gives_no_verdict_after_several_attempts() -> None:
    pauses: list[float] = []
    done = benchmark(_sessions(4.0), 2.0, pause=pauses.append)
    assert not done.timings["fp32"].stable
    assert done.machine_shift == pytest.approx(1.0)
    assert len(pauses) == ATTEMPTS - 1


def test_the_steadiest_attempt_nearest_to_the_profile_counts() -> None:
    pauses: list[float] = []
    take = _sessions(4.0, 2.1, 2.15, 2.3, 3.0, steady=(True, False, True, False))
    done = benchmark(take, 2.0, pause=pauses.append)
    assert done.timings == {"fp32": _timing(3.0)}
    assert done.machine_shift == pytest.approx(0.075)
    assert len(pauses) == 2


@pytest.mark.parametrize(("max_shift", "stable"), [(0.49, False), (0.51, True)])
def test_how_far_a_machine_may_have_moved_is_a_setting(max_shift: float, stable: bool) -> None:
    done = benchmark(_sessions(3.0), 2.0, max_shift=max_shift, pause=lambda _: None)
    assert done.timings["fp32"].stable == stable


def test_without_a_profile_the_shift_is_unknown() -> None:
    done = benchmark(_sessions(2.0), None, pause=_never)
    assert done.machine_shift is None
    assert done.timings["fp32"].stable


def test_runners_run_their_executable_on_their_own_image() -> None:
    class Doubles:
        def run(self, images: np.ndarray) -> np.ndarray:
            return np.asarray(2.0 * images)

    images = {
        name: np.full((1, 1, 2, 2), value, np.float32)
        for name, value in zip("ab", (1, 3), strict=True)
    }
    runners = runners_of({name: (Doubles(), image) for name, image in images.items()})
    assert np.all(runners["a"]() == 2.0)  # type: ignore[arg-type]
    assert np.all(runners["b"]() == 6.0)  # type: ignore[arg-type]
