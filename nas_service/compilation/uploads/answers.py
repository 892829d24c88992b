"""What an uploaded model answers, in a process of its own with limits.

How long a graph runs and what it takes may depend on the sample: that it bore one says nothing.

python -m nas_service.compilation.uploads.answers < {"path": ..., "samples": [...], "out": ...}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nas_service.compilation.base import FloatArray32
from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.samples import read_samples, save_samples
from nas_service.compilation.uploads.refusal import bad
from nas_service.errors import StepFailed

LIMITS = Limits(time_s=600.0)


def answers_of(path: Path, samples: Sequence[Path], out: Path, limits: Limits = LIMITS) -> None:
    """Show a model that `inspect` wrote the inputs of files of samples, one at a time.

    `out` gets the outputs `(n, ...)` of the first file's.

    Raises:
        InvalidData: it broke on a sample, or went over a limit.
    """
    request = {"path": str(path), "samples": [str(one) for one in samples], "out": str(out)}
    command = [sys.executable, "-m", "nas_service.compilation.uploads.answers"]
    try:
        run_limited(command, "running it on the samples", limits, given=json.dumps(request))
    except StepFailed as error:
        raise bad(str(error)) from error


def main() -> None:
    """Read a request, run, and write the outputs."""
    os.dup2(2, 1)  # what libraries print is no answer
    request = json.load(sys.stdin)
    path = Path(request["path"])
    answer = _graph(path) if path.suffix == ".onnx" else _program(path)
    kept = []
    for number, name in enumerate(request["samples"]):
        inputs = read_samples(Path(name))
        for start in range(len(inputs)):
            outputs = answer(inputs[start : start + 1])
            if not np.isfinite(outputs).all():
                raise ValueError(f"its answer to sample {start} is not finite")
            if number == 0:
                kept.append(outputs)
    save_samples(Path(request["out"]), outputs=np.concatenate(kept))


def _graph(path: Path) -> Callable[[FloatArray32], FloatArray32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda sample: np.asarray(session.run(None, {name: sample})[0])


def _program(path: Path) -> Callable[[FloatArray32], FloatArray32]:
    import torch

    module = torch.export.load(path).module()

    def answer(sample: FloatArray32) -> FloatArray32:
        with torch.no_grad():
            return np.asarray(module(torch.from_numpy(sample)).numpy())

    return answer


if __name__ == "__main__":
    main()
