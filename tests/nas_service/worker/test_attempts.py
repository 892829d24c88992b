"""What lacks something for a while is tried again, five times at most."""

from __future__ import annotations

import errno
import os

import pytest

from nas_service.errors import StepFailed, Unavailable
from nas_service.worker.steps import PAUSES_S, attempted


class _Lacking:
    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.attempts = times, error, 0

    def __call__(self) -> str:
        self.attempts += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


def _run(work: _Lacking) -> tuple[str, list[float]]:
    pauses: list[float] = []
    return attempted(work, lambda _, pause_s: pauses.append(pause_s)), pauses


@pytest.mark.parametrize("times", range(len(PAUSES_S) + 1))
def test_it_is_done_once_nothing_is_lacking(times: int) -> None:
    work = _Lacking(times, Unavailable("no store"))
    assert _run(work) == ("done", list(PAUSES_S[:times]))
    assert work.attempts == times + 1


def test_a_full_disk_is_waited_for_wherever_it_is_met() -> None:
    """As where a lock is to be taken, outside of the step's own process."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "machine.lock")
    assert _run(_Lacking(2, full)) == ("done", list(PAUSES_S[:2]))
    with pytest.raises(Unavailable, match=r"No space left on device: machine\.lock"):
        _run(_Lacking(9, full))


def test_the_fifth_time_is_the_last() -> None:
    work = _Lacking(9, Unavailable("no store"))
    with pytest.raises(Unavailable, match="no store"):
        _run(work)
    assert work.attempts == 5


def test_what_fails_for_another_reason_is_not_tried_again() -> None:
    work = _Lacking(9, StepFailed("a layer too many"))
    with pytest.raises(StepFailed, match="a layer too many"):
        _run(work)
    assert work.attempts == 1
