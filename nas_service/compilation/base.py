"""What a compiler is, what it is given, and what it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lookup_tables.target import Target
from nas_service.compilation.toolchains import Toolchain

FloatArray32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """One network, in the forms that compilers read.

    Args:
        graph: ONNX, one input `(1, c, h, w)` and one output `(1, classes)`, in fp32 or with
            quantise and dequantise nodes.
        program: the same network as `torch.export.save` wrote it; None where there is none.
        calibration: npz with `images` `(n, c, h, w)` for compilers that quantise by themselves.
    """

    graph: Path | None
    program: Path | None = None
    calibration: Path | None = None


@dataclass(frozen=True)
class Compiled:
    """The file to ship, and what the toolchain told of it."""

    path: Path
    notes: Mapping[str, Any] = field(default_factory=dict)


class Executable(Protocol):
    """A network ready to run on its target; used from one thread at a time."""

    def run(self, image: FloatArray32) -> FloatArray32:
        """Logits `(1, classes)` of one prepared image `(1, c, s, s)`."""
        ...


class Compiler(Protocol):
    """Makes a runnable file for a target.

    `compile` writes below `out_dir` alone, whole or not at all, and gives equivalent files for the
    same source. What cannot be compiled raises `Unsupported`, which names the operator, the form
    or the package that is lacking. Where files run on machines like this one alone, the compiler
    says so by an attribute `for_this_processor`; where they are made for a number of threads, by
    `compiles_for_threads`.
    """

    toolchain: Toolchain
    precisions: tuple[str, ...]

    def supports(self, target: Target) -> bool:
        """Whether this compiler makes files for the target."""
        ...

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """Compile the network in the target's precision."""
        ...

    def load(self, compiled: Path, target: Target) -> Executable:
        """Load a compiled file with the target's settings.

        Raises:
            Unsupported: this machine cannot run such files.
        """
        ...
