"""A heavy step in a process of its own.

It keeps the worker and the API responsive, ends when its worker ends, is killed on cancel, and
gives its memory back. Parameters and result are JSON; progress comes as messages on a pipe.

Steps are forked from a server that has imported what most of them need: imports take about 5
seconds of processor time, a fork a hundredth of one.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any

from nas_service.errors import Cancelled, NasError, StepFailed, Unavailable, from_dict
from nas_service.telemetry import configure, logger, within

_log = logger(__name__)
Json = dict[str, Any]
Progress = Callable[[float, str], None]
Task = Callable[[Json, Progress], Json]


@contextmanager
def machine_to_itself(
    lock: Path,
    cancelled: Callable[[], bool],
    poll_s: float = 0.2,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Wait until no other heavy step runs on this machine: training would spoil a measurement.

    `on_wait` is called once where there is something to wait for; meanwhile `is_wanted` is true.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    waiting = threading.Event()
    with lock.open("w") as handle, _wanted(lock).open("w") as want:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if cancelled():
                    raise Cancelled("cancelled while waiting for the machine") from None
                fcntl.flock(want, fcntl.LOCK_SH)
                if on_wait is not None:
                    on_wait()
                    on_wait = None
                waiting.wait(poll_s)
        fcntl.flock(want, fcntl.LOCK_UN)
        yield


def is_wanted(lock: Path) -> bool:
    """Whether anybody on this machine, in whatever process, waits for a lock that is held."""
    for pause_s in (0.01, 0.0):  # another one may just be asking the same
        try:
            with _wanted(lock).open("r") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            time.sleep(pause_s)
    return True


def _wanted(lock: Path) -> Path:
    return lock.with_suffix(".wanted")


# only Linux forks safely from a process that has numerical libraries loaded
if sys.platform == "linux":
    _PROCESSES = multiprocessing.get_context("forkserver")
    # not ONNX Runtime: it starts a thread, which a fork would lack (those of OpenBLAS and jemalloc
    # take part in forks)
    _PROCESSES.set_forkserver_preload(
        [
            "onnx",
            "optuna",
            "pandas",
            "scipy.stats",
            "sklearn.ensemble",
            "sklearn.gaussian_process",
            "sqlalchemy",
            "torch",
        ]
    )
else:
    _PROCESSES = multiprocessing.get_context("spawn")

_STARTING = threading.Lock()
"""Starting a process asks after all others, and two who ask at once spoil the answer."""


def run(
    task: Task,
    params: Json,
    *,
    on_progress: Progress,
    cancelled: Callable[[], bool],
    poll_s: float = 0.3,
) -> Json:
    """Run a function of some module with `params` in a child process; returns what it returned.

    Raises:
        Cancelled: `cancelled()` said so; the child was killed.
        NasError: what the task raised, or `StepFailed` where it broke or was killed.
    """
    answers, theirs = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(
        target=_work,
        args=(task.__module__, task.__qualname__, json.dumps(params), theirs),
        daemon=True,
        name=task.__qualname__,
    )
    with _STARTING:
        process.start()
    theirs.close()  # so that the pipe ends with the child
    try:
        answer = _listen(answers, on_progress, cancelled, poll_s)
    except BaseException:
        process.kill()
        raise
    finally:
        connection.wait([process.sentinel])
        with _STARTING:
            code = process.exitcode or 0
            process.close()
        answers.close()
    if answer is None:
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        raise StepFailed(f"the process of {task.__qualname__} ended by {cause}{hint}")
    if "error" in answer:
        raise from_dict(answer["error"])
    result: Json = answer["result"]
    return result


def _listen(
    answers: connection.Connection,
    on_progress: Progress,
    cancelled: Callable[[], bool],
    poll_s: float,
) -> Json | None:
    """The child's answer, None where it ended without one; passes its progress on."""
    asked = time.monotonic()
    while True:
        if time.monotonic() - asked >= poll_s:
            if cancelled():
                raise Cancelled("cancelled")
            asked = time.monotonic()
        if not answers.poll(poll_s):
            continue
        try:
            message: Json = json.loads(answers.recv_bytes())
        except (EOFError, OSError):  # it ended, maybe in the middle of a message
            return None
        if "progress" not in message:
            return message
        with suppress(Unavailable):  # progress that cannot be stored is not missed
            on_progress(message["progress"], message["message"])


def _work(module: str, function: str, given: str, answers: connection.Connection) -> None:
    """The child's side."""
    threading.Thread(target=_end_with_worker, daemon=True).start()
    for asked in (signal.SIGINT, signal.SIGTERM):  # of a whole group: the worker decides
        signal.signal(asked, lambda *_: None)
    os.dup2(2, 1)  # what libraries print is no output of the worker

    def send(message: Json) -> None:
        answers.send_bytes(json.dumps(message).encode())

    def report(fraction: float, message: str) -> None:
        send({"progress": round(fraction, 4), "message": message})

    try:
        params: Json = json.loads(given)
        _configure_logs(params.get("settings", {}))
        with within(job=str(params.get("job_id", ""))):
            answer: Json = _answer(module, function, params, report)
    except Exception as error:  # noqa: BLE001  # the border of the process: it has to answer
        answer = {"error": StepFailed(f"{type(error).__name__}: {error}").as_dict()}
    send(answer)


def _configure_logs(settings: Json) -> None:
    """As the worker's; what libraries inform of is left out, as they have much to say."""
    level = settings.get("log_level", "WARNING")
    as_json = settings.get("log_format") == "json"
    configure("WARNING" if level == "INFO" else level, process="step", as_json=as_json)


def _answer(module: str, function: str, params: Json, report: Progress) -> Json:
    try:
        work: Task = getattr(importlib.import_module(module), function)
        return {"result": work(params, report)}
    except NasError as error:
        return {"error": error.as_dict()}
    except MemoryError:
        return {"error": Unavailable("not enough memory for this step").as_dict()}
    except Exception as error:  # noqa: BLE001  # the border of the process: it has to answer
        _log.error("step broke", exc_info=True)
        return {"error": StepFailed(f"{type(error).__name__}: {error}").as_dict()}


def _end_with_worker() -> None:
    """The child's parent is the server that forked it, so that no signal tells of the worker."""
    worker = multiprocessing.parent_process()
    assert worker is not None
    worker.join()
    os._exit(1)
