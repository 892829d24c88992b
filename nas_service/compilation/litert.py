"""LiteRT (TensorFlow Lite): int8 in full, inputs and outputs too, as microcontrollers want it."""

from __future__ import annotations

from nas_service.compilation import toolchains
from nas_service.compilation.converted import ConvertedCompiler


class LiteRtCompiler(ConvertedCompiler):
    """From an exported program to .tflite; converted in an environment of its own."""

    toolchain = toolchains.LITERT
    precisions = ("fp32", "int8")
    runtime = "litert"
    script = "litert_convert.py"
    suffix = ".tflite"
    from_program = True
