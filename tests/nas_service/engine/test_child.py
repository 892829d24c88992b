"""Steps run in processes of their own, which end when they are told to or their worker ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nas_service.engine import child
from nas_service.errors import Cancelled, InvalidSpec, StepFailed
from tests.nas_service.engine import steps

ROOT = Path(__file__).parents[3]
STEPS = "tests.nas_service.engine.steps"


@pytest.fixture(autouse=True)
def _steps_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def _run(step: str, progress: list[tuple[float, str]] | None = None, **params: Any) -> Any:
    told = progress if progress is not None else []
    return child.run(
        getattr(steps, step),
        params,
        on_progress=lambda fraction, message: told.append((fraction, message)),
        cancelled=lambda: False,
    )


def _ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _await(what: Any, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.05)


def test_answers_from_another_process_with_progress_before() -> None:
    progress: list[tuple[float, str]] = []
    answer = _run("half", progress, number=7)
    assert answer["half"] == 3.5
    assert answer["process"] != os.getpid()
    assert progress == [(0.5, "halving")]


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")
def test_finds_torch_imported() -> None:
    assert _run("half", number=2)["torch"]


def test_several_at_once_get_their_own_answers() -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: _run("half", number=n), range(24)))
    assert [one["half"] for one in answers] == [n / 2 for n in range(24)]
    assert len({one["process"] for one in answers}) == 24


def test_our_errors_come_through_and_others_are_named() -> None:
    with pytest.raises(InvalidSpec, match="7 is too many") as found:
        _run("refuse")
    assert found.value.as_dict()["field"] == "number"
    with pytest.raises(StepFailed, match="ZeroDivisionError: by hand"):
        _run("fail")


def test_a_crash_is_told_by_its_signal() -> None:
    with pytest.raises(StepFailed, match="process of crash ended by signal 11"):
        _run("crash")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for its pipe as Linux tells it")
def test_a_step_that_is_killed_while_it_speaks_is_told_of() -> None:
    with pytest.raises(StepFailed, match=r"process of break_off ended by signal 9 \(out of memory"):
        _run("break_off")


def test_what_asks_a_whole_group_to_end_is_left_to_the_worker() -> None:
    assert _run("shrug") == {"here": True}


def test_a_cancelled_step_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "process"
    with pytest.raises(Cancelled):
        child.run(
            steps.sleep,
            {"file": str(file)},
            on_progress=lambda *_: None,
            cancelled=file.exists,
        )
    assert _ended(int(file.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_step_ends_with_its_worker(tmp_path: Path) -> None:
    file = tmp_path / "process"
    worker = subprocess.Popen([sys.executable, "-m", STEPS, str(file)], cwd=ROOT)
    try:
        _await(lambda: file.exists() and file.read_text())
        step = int(file.read_text())
        assert not _ended(step)
    finally:
        worker.kill()
        worker.wait()
    _await(lambda: _ended(step))
