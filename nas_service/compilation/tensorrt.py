"""TensorRT 10 on NVIDIA GPUs and Jetson boards, built by trtexec: not run on hardware.

Where this machine has the GPU and the package `tensorrt`, engines are compared and timed like all
other files.

The operators are those that the ONNX parser of TensorRT 10 documents (docs/operators.md of
onnx-tensorrt), of the standard domain and without loops and strings.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lookup_tables.quantized import is_quantized, is_symmetric
from lookup_tables.target import Target
from nas_service.compilation.base import Compiled, Converter, Source
from nas_service.compilation.operators import require_operators
from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.quantise import quantise
from nas_service.compilation.toolchains import REQUIREMENTS, Toolchain, require, runs_here
from nas_service.errors import Unsupported

OPERATORS = frozenset((REQUIREMENTS / "tensorrt-operators.txt").read_text().split())
_FLAGS = {"fp32": ["--noTF32"], "fp16": ["--fp16"], "int8": ["--int8", "--fp16"]}


class TensorRtConverter(Converter):
    """From ONNX to an engine; int8 takes its ranges from quantise and dequantise nodes."""

    toolchain = Toolchain("tensorrt", programs=("trtexec",), hardware="NVIDIA GPU or Jetson")
    runtime = "tensorrt"
    operators = OPERATORS
    for_this_processor = True
    precisions = ("fp32", "fp16", "int8")

    def command(self, graph: Path, target: Target, out: Path) -> list[str]:
        """What builds the engine; to be run on the device itself, engines hold for it alone."""
        plan = ["--builderOptimizationLevel=3", "--skipInference", *_FLAGS[target.precision]]
        return ["trtexec", f"--onnx={graph}", f"--saveEngine={out}", *plan]

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """See `Converter.compile`; operators are checked even where there is no TensorRT."""
        if source.graph is None:
            raise Unsupported("tensorrt compiles from an ONNX graph, which is not there")
        require_operators(source.graph, OPERATORS, "tensorrt")
        given = target.precision == "int8" and is_quantized(source.graph)
        if given and not is_symmetric(source.graph):
            raise Unsupported(
                "tensorrt takes symmetric int8 with biases in float; of recipes, that of "
                "static_int8 with activations: int8"
            )
        require(self.toolchain, self.settings)
        out_dir.mkdir(parents=True, exist_ok=True)
        final = out_dir / f"{source.graph.stem}.{target.precision}.engine"
        with tempfile.TemporaryDirectory(dir=out_dir) as folder:
            graph, made = source.graph, Path(folder) / "model.engine"
            if target.precision == "int8" and not given:
                graph = Path(folder) / "int8.onnx"
                quantise(source, graph, "tensorrt", signed=True)
            run_limited(self.command(graph, target, made), "trtexec", Limits(1800.0))
            shutil.move(made, final)
        status = {} if runs_here(self.runtime) else {"status": "not run on hardware"}
        return Compiled(final, status)
