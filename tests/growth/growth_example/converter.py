"""Makes the files of the reference evaluator."""

from __future__ import annotations

import shutil
from pathlib import Path

from lookup_tables.target import Target
from nas_service.compilation.base import Compiled, Converter, Source
from nas_service.compilation.toolchains import Toolchain, require
from nas_service.errors import Unsupported


class OnnxReferenceConverter(Converter):
    """A copy of the graph under another ending."""

    toolchain = Toolchain("onnx-reference", ("onnx",))
    runtime = "onnx-reference"
    precisions = ("fp32",)

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """See `Converter.compile`."""
        if source.graph is None:
            raise Unsupported("onnx-reference compiles from an ONNX graph, which is not there")
        require(self.toolchain, self.settings)
        out_dir.mkdir(parents=True, exist_ok=True)
        partial = out_dir / f"{source.graph.stem}.{target.precision}.ref.partial"
        shutil.copyfile(source.graph, partial)
        return Compiled(partial.rename(partial.with_suffix("")), {"copied": True})
