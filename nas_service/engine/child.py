"""A heavy step in a process of its own.

It keeps the worker and the API responsive, ends when its worker ends, is killed on cancel, and
gives its memory back. Parameters and result are JSON; progress comes as lines on a pipe.

    python -m nas_service.engine.child module:function < parameters
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nas_service.errors import Cancelled, NasError, StepFailed, Unavailable, from_dict
from nas_service.processes import die_with_parent

Json = dict[str, Any]
Progress = Callable[[float, str], None]
Task = Callable[[Json, Progress], Json]


@contextmanager
def machine_to_itself(
    lock: Path, cancelled: Callable[[], bool], poll_s: float = 0.2
) -> Iterator[None]:
    """Wait until no other heavy step runs on this machine: training would spoil a measurement."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    waiting = threading.Event()
    with lock.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if cancelled():
                    raise Cancelled("cancelled while waiting for the machine") from None
                waiting.wait(poll_s)
        yield


def run(
    task: str,
    params: Json,
    *,
    on_progress: Progress,
    cancelled: Callable[[], bool],
    poll_s: float = 0.3,
) -> Json:
    """Run `module:function` with `params` in a child process; returns what it returned.

    Raises:
        Cancelled: `cancelled()` said so; the child was killed.
        NasError: what the task raised, or `StepFailed` where it broke or was killed.
    """
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", "nas_service.engine.child", task],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NAS_PARENT_PID": str(os.getpid())},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    answer: list[Json] = []
    ended = threading.Event()

    def listen(lines: IO[str]) -> None:
        try:
            for line in lines:
                message = json.loads(line)
                if "progress" in message:
                    with suppress(Unavailable):  # progress that cannot be stored is not missed
                        on_progress(message["progress"], message["message"])
                else:
                    answer.append(message)
        finally:
            ended.set()

    listener = threading.Thread(target=listen, args=(process.stdout,), daemon=True)
    listener.start()
    try:
        process.stdin.write(json.dumps(params))
        process.stdin.close()
        while not ended.wait(poll_s):
            if cancelled():
                raise Cancelled("cancelled")
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        listener.join(timeout=5)
        process.stdout.close()
    if not answer:
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        raise StepFailed(f"the process of {task.partition(':')[2]} ended by {cause}{hint}")
    if "error" in answer[0]:
        raise from_dict(answer[0]["error"])
    result: Json = answer[0]["result"]
    return result


def main(argv: list[str]) -> int:
    """The child's side."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not get between the answers
    params = json.load(sys.stdin)
    module, _, function = argv[1].partition(":")

    def report(fraction: float, message: str) -> None:
        answers.write(json.dumps({"progress": round(fraction, 4), "message": message}) + "\n")

    try:
        task: Task = getattr(importlib.import_module(module), function)
        answer: Json = {"result": task(params, report)}
    except NasError as error:
        answer = {"error": error.as_dict()}
    except MemoryError:
        answer = {"error": Unavailable("not enough memory for this step").as_dict()}
    except Exception as error:  # noqa: BLE001  # the border of the process: it has to answer
        traceback.print_exc()
        answer = {"error": StepFailed(f"{type(error).__name__}: {error}").as_dict()}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
