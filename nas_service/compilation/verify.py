"""Run a compiled file on images, in a process of its own: a runtime that breaks takes only it.

python -m nas_service.compilation.verify < {"path": ..., "target": ..., "images": ..., "out": ...}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from lookup_tables.target import Target
from nas_service.compilation.base import FloatArray32
from nas_service.compilation.process import Limits, run_limited

LIMITS = Limits(time_s=600.0)


def logits_of(path: Path, target: Target, images: Path, out: Path) -> FloatArray32:
    """Logits `(n, classes)` of the `images` of an npz, one image a run.

    Raises:
        StepFailed: the runtime refused the file, broke, or went over a limit.
    """
    request = {
        "path": str(path),
        "target": target.as_dict(),
        "images": str(images),
        "out": str(out),
    }
    command = [sys.executable, "-m", "nas_service.compilation.verify"]
    name = f"{target.runtime} {target.precision}"
    run_limited(command, name, LIMITS, given=json.dumps(request))
    with np.load(out, allow_pickle=False) as found:
        return np.asarray(found["logits"], dtype=np.float32)


def main() -> None:
    """Read a request, run, and write the logits."""
    from nas_service.compilation.executable import Executable

    request = json.load(sys.stdin)
    with np.load(request["images"], allow_pickle=False) as arrays:
        images = arrays["images"]
    executable = Executable(Path(request["path"]), Target(**request["target"]))
    rows = [executable.run(images[i : i + 1]) for i in range(len(images))]
    np.savez(request["out"], logits=np.concatenate(rows))


if __name__ == "__main__":
    main()
