"""What ONNX Runtime allocates for the activations of one run, as its own allocator tells.

The runtime lays activations out in one buffer once it has seen a run. In a process of its own, with
an arena that takes exactly what is asked for, the second run's request is that buffer's size.

    python -m nas_service.compilation.memory FILE
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 60.0
_RUN = "--run--"
_EXTENDED = re.compile(r"Extended allocation by (\d+) bytes")


def peak_memory_bytes(model: Path) -> int | None:
    """Bytes of activations of one run of an ONNX file; None where the runtime does not tell."""
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "nas_service.compilation.memory", str(model)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    parts = done.stderr.split(_RUN)
    if done.returncode or len(parts) < 3:
        return None
    first, second = ([int(one) for one in _EXTENDED.findall(part)] for part in parts[1:3])
    # without a request the buffer fits a chunk that the first run took for a single tensor, the
    # largest one: then that tensor is all that was alive
    return sum(second) or max(first, default=None)


def main(path: str) -> None:
    """Run a model twice and let the runtime say what it allocates."""
    import onnxruntime as ort

    from lookup_tables.measuring.onnx_session import inputs_of_session
    from lookup_tables.runtimes.registry import random_inputs

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
    feeds = random_inputs(inputs_of_session(session))
    for _ in range(2):
        sys.stderr.write(_RUN)
        sys.stderr.flush()
        session.run(None, feeds)


if __name__ == "__main__":
    main(sys.argv[1])
