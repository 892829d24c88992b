"""What a compiler is, and what it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lookup_tables.target import Target

FloatArray32 = npt.NDArray[np.float32]


class Executable(Protocol):
    """A network ready to run on its target; used from one thread at a time."""

    def run(self, image: FloatArray32) -> FloatArray32:
        """Logits `(1, classes)` of one prepared image `(1, c, s, s)`."""
        ...


class Compiler(Protocol):
    """Makes a runnable file for a target.

    `compile` writes below `out_dir` alone and the same graph gives the same file. What cannot be
    compiled raises `Unsupported`, which names the operator or the package that is lacking.
    """

    def supports(self, target: Target) -> bool:
        """Whether this compiler makes files for the target."""
        ...

    def compile(self, graph: Path, target: Target, out_dir: Path) -> Path:
        """Compile the ONNX graph; returns the file to ship."""
        ...

    def load(self, compiled: Path, target: Target) -> Executable:
        """Load a compiled file with the target's settings."""
        ...
