"""ONNX Runtime on the CPU.

The runtime compiles a graph when it loads it. What ships is the graph itself: a graph saved after
optimisation holds layouts of the machine that optimised it. Compiling therefore means to load the
graph as the target will, so that an operator without a kernel is found here and not there; and, for
int8, to quantise it where that was not done yet.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lookup_tables.loading import require_loads
from lookup_tables.quantized import half_precision, is_half, is_quantized
from lookup_tables.target import Target
from nas_service.compilation.base import Compiled, Converter, Source
from nas_service.compilation.quantise import named, quantise
from nas_service.compilation.toolchains import Toolchain
from nas_service.errors import Unsupported


class OrtConverter(Converter):
    """See the module's text."""

    toolchain = Toolchain("onnxruntime", ("onnxruntime",))
    runtime = "onnxruntime"
    precisions = ("fp32", "int8", "fp16")
    any_signature = True

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """Quantise where that is asked for, check that the graph loads, and copy it."""
        if source.graph is None:
            raise Unsupported("onnxruntime compiles from an ONNX graph, which is not there")
        out_dir.mkdir(parents=True, exist_ok=True)
        compiled = out_dir / f"{source.graph.stem}.{target.precision}.ort-cpu.onnx"
        partial = compiled.with_name(compiled.name + ".partial")
        try:
            with named("load", source.graph):
                if target.precision == "int8" and not is_quantized(source.graph):
                    quantise(source, partial, "onnxruntime")
                elif target.precision == "fp16" and not is_half(source.graph):
                    with named("convert", source.graph):
                        half_precision(source.graph, partial, keep_float=source.keep_float)
                else:
                    shutil.copyfile(source.graph, partial)
                require_loads(partial, target)  # what has no kernel is refused here
            partial.replace(compiled)
        finally:
            partial.unlink(missing_ok=True)
        return Compiled(compiled)
