"""What a converter is, what it is given, and what it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lookup_tables.target import Target
from nas_service.compilation.forms import ONNX
from nas_service.compilation.toolchains import Toolchain
from nas_service.settings import Settings

FloatArray32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """One network, in the forms that converters read.

    Args:
        graph: ONNX, for one sample, in fp32 or with quantise and dequantise nodes.
        program: the same network as `torch.export.save` wrote it; None where there is none.
        calibration: samples for converters that quantise by themselves: of one input
            (`compilation.samples`), or recorded by names (`recorded.feeds`).
        keep_float: names of the graph's nodes that stay in float.
    """

    graph: Path | None
    program: Path | None = None
    calibration: Path | None = None
    keep_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compiled:
    """The file to ship, and what the toolchain told of it."""

    path: Path
    notes: Mapping[str, Any] = field(default_factory=dict)


class Converter(ABC):
    """Makes the files that a runtime runs; needs the toolchain, and not the runtime's device.

    The entry-point group is `nas_service.converters`, an entry the class itself, named as the
    runtime that it makes files for. What loads and runs them is that runtime
    (`lookup_tables.runtimes`); a converter without one makes files that nothing here runs.
    """

    toolchain: ClassVar[Toolchain]
    runtime: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    form: ClassVar[str] = ONNX
    """Which form of a network it reads; see `compilation.forms`."""
    operators: ClassVar[frozenset[str] | None] = None
    """ONNX operators that the runtime has; None where conversion tells."""
    for_this_processor: ClassVar[bool] = False
    """Whether a file runs on machines like the one it was made on, and on no others."""
    compiles_for_threads: ClassVar[bool] = False
    """Whether a file is made for a number of threads, rather than told of it when it is loaded."""
    any_signature: ClassVar[bool] = False
    """Whether it takes graphs of several inputs and outputs, of any type and with open sizes."""
    built_on: ClassVar[tuple[Toolchain, ...]] = ()
    """Toolchains whose versions decide what comes out, besides its own."""

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        self.settings = settings or Settings()
        self.options = options
        """What decides what comes out, besides source and target: files by others are others."""

    def supports(self, target: Target) -> bool:
        """Whether it makes files for the target: of its runtime, in one of its precisions."""
        return target.runtime == self.runtime and target.precision in self.precisions

    @abstractmethod
    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """Convert a network in the target's precision.

        Writes below `out_dir` alone, whole or not at all; the same source gives equivalent files.

        Raises:
            Unsupported: it cannot be converted; the operator, form or package is named.
            StepFailed: the toolchain failed or went over a limit.
        """

    def compile_all(
        self, sources: Sequence[Source], target: Target, out_dir: Path
    ) -> list[Compiled]:
        """Convert several networks, whose files are named differently."""
        return [self.compile(one, target, out_dir) for one in sources]
