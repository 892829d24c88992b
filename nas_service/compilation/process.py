"""A toolchain's converter in a process of its own, within limits of time, memory and disk."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from nas_service.errors import StepFailed
from nas_service.processes import die_with_parent


class OverLimit(StepFailed):
    """A process was ended because it took more than it was given."""


SCRIPTS = Path(__file__).with_name("scripts")
_POLL_S = 0.1


@dataclass(frozen=True)
class Limits:
    """What a converter may take before it is ended."""

    time_s: float = 600.0
    memory_bytes: int = 8 * 1024**3
    file_bytes: int = 4 * 1024**3


def convert(
    python: str,
    script: str | Path,
    requests: Sequence[dict[str, Any]],
    *,
    limits: Limits = Limits(),
) -> list[dict[str, Any]]:
    """Run a script with requests; gives its answers. Time is allowed for each.

    A script is a path, or the name of one of `compilation/scripts`.

    Raises:
        StepFailed: it failed, was ended by a signal, or went over a limit.
    """
    name = Path(script).stem.removesuffix("_convert")
    limits = replace(limits, time_s=limits.time_s * len(requests))
    out = run_limited([python, str(SCRIPTS / script)], name, limits, given=json.dumps(requests))
    try:
        answers: list[dict[str, Any]] = json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise StepFailed(f"{name} gave no answer") from error
    return answers


def run_limited(command: Sequence[str], name: str, limits: Limits, *, given: str = "") -> str:
    """Run a command within limits; gives its standard output.

    Raises:
        OverLimit: it took more than that.
        StepFailed: see `convert`; the message ends in the last line of its standard error.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter, or a toolchain's program
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            text=True,
            start_new_session=True,
            env=environment,
            preexec_fn=partial(die_with_parent, os.getpid()),  # takes no lock
        )
        try:
            over = _watch(process, given, limits)
        finally:
            _end(process)
        errors.seek(0)
        told = [line for line in errors.read().splitlines() if line.strip()]
        output.seek(0)
        if over:
            raise OverLimit(f"{name} was ended: {over}")
        if process.returncode < 0:
            called = signal.Signals(-process.returncode).name
            raise StepFailed(f"{name} was ended by {called}")
        if process.returncode:
            raise StepFailed(f"{name}: {told[-1].strip() if told else 'no word of why'}")
        return output.read()


def _watch(process: subprocess.Popen[str], given: str, limits: Limits) -> str | None:
    """Wait for the end; what limit was broken, if one was."""
    if sys.platform == "linux":
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limits.file_bytes,) * 2)
    assert process.stdin is not None
    try:
        process.stdin.write(given)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended before it read; its exit code tells
    end = time.monotonic() + limits.time_s
    while process.poll() is None:
        if time.monotonic() > end:
            return f"over its limit of {limits.time_s:.0f} s"
        if _memory(process.pid) > limits.memory_bytes:
            return f"over its limit of {limits.memory_bytes / 1024**3:.1f} GiB of memory"
        time.sleep(_POLL_S)
    return None


def _memory(pid: int) -> int:
    """Resident bytes of a process and all below it."""
    try:
        first = psutil.Process(pid)
        every = [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for one in every:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _end(process: subprocess.Popen[str]) -> None:
    """End the whole group, and whatever it left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
