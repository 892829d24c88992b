"""ONNX Runtime on the CPU.

The runtime compiles a graph when it loads it. What ships is the graph itself: a graph saved after
optimisation holds layouts of the machine that optimised it. Compiling therefore means to load the
graph as the target will, so that an operator without a kernel is found here and not there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort

from lookup_tables.runtimes import session_options
from lookup_tables.target import Target
from nas_service.compilation.base import Executable, FloatArray32
from nas_service.errors import Unsupported


class OrtExecutable:
    """A session with one input and one output."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session = ort.InferenceSession(
            str(path), session_options(threads), providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def run(self, image: FloatArray32) -> FloatArray32:
        """See `Executable.run`."""
        return np.asarray(self._session.run(None, {self._input: image})[0], dtype=np.float32)


class OrtCompiler:
    """See the module's text."""

    def supports(self, target: Target) -> bool:
        """Targets whose runtime is ONNX Runtime, in fp32 or int8."""
        return target.runtime == "onnxruntime" and target.precision in {"fp32", "int8"}

    def compile(self, graph: Path, target: Target, out_dir: Path) -> Path:
        """Check that the graph loads, and copy it."""
        try:
            self.load(graph, target)
        except Exception as error:  # the runtime's errors share no base
            raise Unsupported(f"ONNX Runtime cannot load {graph.name}: {error}") from error
        compiled = out_dir / f"{graph.stem}.ort-cpu.onnx"
        shutil.copyfile(graph, compiled)
        return compiled

    def load(self, compiled: Path, target: Target) -> Executable:
        """A session with the target's number of threads."""
        return OrtExecutable(compiled, target.threads)
