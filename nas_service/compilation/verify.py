"""Run a compiled file on samples, in a process of its own: a runtime that breaks takes only it.

python -m nas_service.compilation.verify < {"path": ..., "target": ..., "samples": ..., "out": ...}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from lookup_tables.target import Target
from nas_service.compilation.base import FloatArray32
from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.samples import read_samples, save_samples

LIMITS = Limits(time_s=600.0)


def outputs_of(path: Path, target: Target, samples: Path, out: Path) -> FloatArray32:
    """Outputs `(n, ...)` for the inputs of a file of samples, one a run.

    Raises:
        StepFailed: the runtime refused the file, broke, or went over a limit.
    """
    request = {
        "path": str(path),
        "target": target.as_dict(),
        "samples": str(samples),
        "out": str(out),
    }
    command = [sys.executable, "-m", "nas_service.compilation.verify"]
    name = f"{target.runtime} {target.precision}"
    run_limited(command, name, LIMITS, given=json.dumps(request))
    return np.asarray(read_samples(out, "outputs"), dtype=np.float32)


def main() -> None:
    """Read a request, run, and write the outputs."""
    from nas_service.compilation.executable import Executable

    request = json.load(sys.stdin)
    inputs = read_samples(Path(request["samples"]))
    executable = Executable(Path(request["path"]), Target(**request["target"]))
    rows = [executable.run(inputs[i : i + 1]) for i in range(len(inputs))]
    save_samples(Path(request["out"]), outputs=np.concatenate(rows))


if __name__ == "__main__":
    main()
