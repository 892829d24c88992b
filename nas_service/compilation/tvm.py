"""Apache TVM for this machine's processor, untuned, or tuned with the option `trials`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas_service.compilation import toolchains
from nas_service.compilation.converted import ConvertedCompiler, packed
from nas_service.compilation.process import Limits


class TvmCompiler(ConvertedCompiler):
    """From ONNX to a shared library, in a zip with the shapes of its inputs."""

    toolchain = toolchains.TVM
    precisions = ("fp32",)
    runtime = "tvm"
    script = "tvm_convert.py"
    suffix = ".tvm.zip"
    converted_suffix = ".so"
    limits = Limits(time_s=1800.0)

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """Library and shapes in one."""
        shapes = json.dumps(notes.pop("inputs"))
        whole = files[0].with_name("model.zip")
        return packed({"model.so": files[0]}, {"inputs.json": shapes}, whole)
