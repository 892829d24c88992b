"""ExecuTorch with its XNNPACK back end, the successor of PyTorch Mobile."""

from __future__ import annotations

from nas_service.compilation.converted import ScriptConverter
from nas_service.compilation.forms import PROGRAM
from nas_service.compilation.toolchains import Toolchain


class ExecuTorchConverter(ScriptConverter):
    """From an exported program to .pte; int8 by PT2E with a scale a channel."""

    toolchain = Toolchain("executorch", ("executorch", "torchao"))
    precisions = ("fp32", "int8")
    runtime = "executorch"
    script = "executorch_convert.py"
    suffix = ".pte"
    form = PROGRAM
