"""Run a compiled file on samples, in a process of its own: a runtime that breaks takes only it.

python -m nas_service.compilation.verify < {"path": ..., "target": ..., "samples": ..., "out": ...}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookup_tables.target import Target
from nas_service.compilation.base import FloatArray32
from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.samples import read_samples, save_samples
from nas_service.recorded.feeds import Named, by_place, is_recorded, read_recorded, save_recorded

LIMITS = Limits(time_s=600.0)


def outputs_of(path: Path, target: Target, samples: Path, out: Path) -> FloatArray32:
    """Outputs `(n, ...)` for the inputs of a file of samples, one a run.

    Raises:
        StepFailed: the runtime refused the file, broke, or went over a limit.
    """
    _run(path, target, samples, out)
    return np.asarray(read_samples(out, "outputs"), dtype=np.float32)


def answers_of(
    path: Path,
    target: Target,
    samples: Path,
    out: Path,
    names: Sequence[str],
    limits: Limits = LIMITS,
) -> list[Named]:
    """All outputs, called by `names`, to samples recorded by names of inputs, one a run.

    Raises:
        StepFailed: see `outputs_of`.
    """
    _run(path, target, samples, out, limits)
    return [
        {name: answer[str(place)] for place, name in enumerate(names)}
        for answer in read_recorded(out)
    ]


def _run(path: Path, target: Target, samples: Path, out: Path, limits: Limits = LIMITS) -> None:
    request = {
        "path": str(path),
        "target": target.as_dict(),
        "samples": str(samples),
        "out": str(out),
    }
    command = [sys.executable, "-m", "nas_service.compilation.verify"]
    name = f"{target.runtime} {target.precision}"
    run_limited(command, name, limits, given=json.dumps(request))


def main() -> None:
    """Read a request, run, and write the outputs."""
    from nas_service.compilation.executable import Executable

    request = json.load(sys.stdin)
    samples, out = Path(request["samples"]), Path(request["out"])
    executable = Executable(Path(request["path"]), Target(**request["target"]))
    if is_recorded(samples):
        answers = [executable.answer(one) for one in read_recorded(samples)]
        save_recorded(out, [by_place(one) for one in answers])
        return
    inputs = read_samples(samples)
    rows = [executable.run(inputs[i : i + 1]) for i in range(len(inputs))]
    save_samples(out, outputs=np.concatenate(rows))


if __name__ == "__main__":
    main()
