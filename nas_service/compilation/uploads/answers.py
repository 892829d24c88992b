"""What an uploaded model answers, in a process of its own with limits.

How long a graph runs and what it takes may depend on the image: that it bore with one says nothing.

python -m nas_service.compilation.uploads.answers < {"path": ..., "images": [...], "out": ...}
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
from nas_service.compilation.uploads.refusal import bad
from nas_service.errors import StepFailed

LIMITS = Limits(time_s=600.0)


def answers_of(path: Path, images: Sequence[Path], out: Path, limits: Limits = LIMITS) -> None:
    """Show a model that `inspect` wrote the images of npz files, one at a time.

    `out` gets the logits `(n, classes)` of the first file's.

    Raises:
        InvalidData: it broke on an image, or went over a limit.
    """
    request = {"path": str(path), "images": [str(one) for one in images], "out": str(out)}
    command = [sys.executable, "-m", "nas_service.compilation.uploads.answers"]
    try:
        run_limited(command, "running it on the images", limits, given=json.dumps(request))
    except StepFailed as error:
        raise bad(str(error)) from error


def main() -> None:
    """Read a request, run, and write the logits."""
    os.dup2(2, 1)  # what libraries print is no answer
    request = json.load(sys.stdin)
    path = Path(request["path"])
    answer = _graph(path) if path.suffix == ".onnx" else _program(path)
    kept = []
    for number, name in enumerate(request["images"]):
        with np.load(name, allow_pickle=False) as arrays:
            images = arrays["images"]
        for start in range(len(images)):
            logits = answer(images[start : start + 1])
            if not np.isfinite(logits).all():
                raise ValueError(f"its answer to image {start} is not finite")
            if number == 0:
                kept.append(logits)
    np.savez(request["out"], logits=np.concatenate(kept))


def _graph(path: Path) -> Callable[[FloatArray32], FloatArray32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: np.asarray(session.run(None, {name: image})[0])


def _program(path: Path) -> Callable[[FloatArray32], FloatArray32]:
    import torch

    module = torch.export.load(path).module()

    def answer(image: FloatArray32) -> FloatArray32:
        with torch.no_grad():
            return np.asarray(module(torch.from_numpy(image)).numpy())

    return answer


if __name__ == "__main__":
    main()
