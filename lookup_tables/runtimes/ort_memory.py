"""What ONNX Runtime allocates for the activations of one run, as its own allocator tells.

The runtime lays activations out in one buffer once it has seen a run. In a process of its own, with
an arena that takes exactly what is asked for, the second run's request is that buffer's size. A
process that has loaded the runtime forks for each file: an arena gives what it has taken before to
the next session without a word.

How the buffer is laid out depends on addresses: of six networks one got 177,408 or 201,472 bytes,
by chance. Linux is asked for the same addresses each time, and files are named in records of one
length, so that each is forked for from the same state; in another process it may be so much more.

    python -m lookup_tables.runtimes.ort_memory < RECORDS
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

TIMEOUT_S = 60.0
_ADDR_NO_RANDOMIZE = 0x0040000
_RECORD = 4096
_FILE, _RUN = "--file--", "--run--"
_EXTENDED = re.compile(r"Extended allocation by (\d+) bytes")


def peak_memory_bytes(models: Sequence[Path]) -> list[int | None]:
    """Bytes of activations of one run of each ONNX file; None where the runtime does not tell."""
    try:
        done = subprocess.run(  # our own interpreter and module
            [sys.executable, "-m", "lookup_tables.runtimes.ort_memory"],
            input=b"".join(os.fsencode(one).ljust(_RECORD, b"\0") for one in models),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            preexec_fn=_same_addresses if sys.platform == "linux" else None,  # one call
        )
    except subprocess.TimeoutExpired:
        return [None] * len(models)
    parts = done.stderr.decode(errors="replace").split(_FILE)[1:]
    if done.returncode or len(parts) != len(models):
        return [None] * len(models)
    return [_of_runs(part.split(_RUN)) for part in parts]


def _same_addresses() -> None:
    """Have the next program of this process laid out as ever; by chance where that is forbidden."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).personality(_ADDR_NO_RANDOMIZE)


def _of_runs(parts: Sequence[str]) -> int | None:
    """From what the runtime printed while it loaded a file and ran it twice."""
    if len(parts) < 3:
        return None
    first, second = ([int(one) for one in _EXTENDED.findall(part)] for part in parts[1:3])
    # without a request the buffer fits a chunk that the first run took for a single tensor, the
    # largest one: then that tensor is all that was alive
    return sum(second) or max(first, default=None)


def main() -> None:
    """Run each model that a record names twice, in a process of its own; the runtime tells.

    What it allocates it says itself, on the standard error.
    """
    import onnxruntime  # noqa: F401  # loaded once, before the processes part

    record = bytearray(_RECORD)
    while _filled(record):
        _say(_FILE)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _run(os.fsdecode(bytes(record).rstrip(b"\0")))
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.waitpid(child, 0)  # one that failed has not said that it ran twice


def _filled(record: bytearray) -> bool:
    """Take the next name in place: nothing of it may move what is allocated later."""
    view, at = memoryview(record), 0
    while at < len(record):
        got = os.readv(0, [view[at:]])
        if not got:
            return False
        at += got
    return True


def _run(path: str) -> None:
    import onnxruntime as ort

    from lookup_tables.measuring.feeds import feeds_for
    from lookup_tables.measuring.onnx_session import inputs_of_session

    ort.set_default_logger_severity(0)
    info = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    exactly = {
        "max_mem": 0,
        "arena_extend_strategy": 1,
        "initial_chunk_size_bytes": 1024,
        "max_dead_bytes_per_chunk": 1 << 20,
    }
    ort.create_and_register_allocator(info, ort.OrtArenaCfg(exactly))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 0
    options.add_session_config_entry("session.use_env_allocators", "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = feeds_for(Path(path), inputs_of_session(session))
    for _ in range(2):
        _say(_RUN)
        session.run(None, feeds)


def _say(marker: str) -> None:
    sys.stderr.write(marker)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
