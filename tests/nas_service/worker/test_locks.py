"""What measures has the processor to itself; what waits holds nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nas_service.errors import Cancelled
from nas_service.queues import agent_queue, machine_queue
from nas_service.settings import Settings
from nas_service.worker import locks
from nas_service.worker.locks import PROCESSOR, Uses, held, locks_of

HERE, THERE = machine_queue("local"), agent_queue("dev_1")


def test_each_step_holds_what_it_uses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_cpu = Settings(training_device="cpu")
    assert locks_of(Uses.NOTHING, on_cpu, HERE) == ()
    assert locks_of(Uses.PROCESSOR, on_cpu, THERE) == (PROCESSOR,)
    assert locks_of(Uses.DEVICE, on_cpu, HERE) == (PROCESSOR,)
    assert locks_of(Uses.DEVICE, on_cpu, THERE) == ()
    assert locks_of(Uses.TRAINING, on_cpu, THERE) == (PROCESSOR,)
    # a GPU that is named is trained on while the processor measures
    assert locks_of(Uses.TRAINING, Settings(training_device="cuda:1"), HERE) == ("cuda-1",)
    assert locks_of(Uses.TRAINING, Settings(training_device="cuda"), HERE) == ("cuda-0",)
    monkeypatch.setattr(locks, "_GPU_DRIVER", tmp_path / "none")
    assert locks_of(Uses.TRAINING, Settings(), HERE) == (PROCESSOR,)
    (tmp_path / "none").touch()
    assert PROCESSOR in locks_of(Uses.TRAINING, Settings(), HERE)


def test_a_lock_is_held_by_one_and_another_by_others(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path)
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.set()
        with held((PROCESSOR,), settings):
            order.append("second")

    thread = threading.Thread(target=second)
    with held((PROCESSOR,), settings):
        with held(("cuda-0",), settings):  # nobody has that
            order.append("gpu")
        thread.start()
        inside.wait()
        order.append("first")
    thread.join()
    assert order == ["gpu", "first", "second"]


def test_waiting_ends_when_the_job_is_cancelled(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path)
    with (
        held((PROCESSOR,), settings),
        pytest.raises(Cancelled),
        held(("cuda-0", PROCESSOR), settings, lambda: True),
    ):
        pass
    with held(("cuda-0", PROCESSOR), settings):  # what was taken before is free again
        pass


def test_whoever_has_to_wait_says_so_once(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path)
    said: list[str] = []
    done = threading.Event()

    def second() -> None:
        with held((PROCESSOR,), settings, on_wait=lambda: said.append("waiting")):
            done.set()

    with held((PROCESSOR,), settings, on_wait=lambda: said.append("first")):
        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(0.7)  # three looks at the lock
    thread.join()
    assert said == ["waiting"]
