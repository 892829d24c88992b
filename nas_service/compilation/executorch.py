"""ExecuTorch with its XNNPACK back end, the successor of PyTorch Mobile."""

from __future__ import annotations

from nas_service.compilation import toolchains
from nas_service.compilation.converted import ConvertedCompiler


class ExecuTorchCompiler(ConvertedCompiler):
    """From an exported program to .pte; int8 by PT2E with a scale a channel."""

    toolchain = toolchains.EXECUTORCH
    precisions = ("fp32", "int8")
    runtime = "executorch"
    script = "executorch_convert.py"
    suffix = ".pte"
    from_program = True
