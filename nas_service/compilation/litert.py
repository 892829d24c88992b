"""LiteRT (TensorFlow Lite): int8 in full, inputs and outputs too, as microcontrollers want it."""

from __future__ import annotations

from nas_service.compilation.converted import ScriptConverter
from nas_service.compilation.forms import PROGRAM
from nas_service.compilation.toolchains import Toolchain


class LiteRtConverter(ScriptConverter):
    """From an exported program to .tflite; converted in an environment of its own."""

    toolchain = Toolchain("litert", ("litert-torch", "ai-edge-quantizer"), separate=True)
    precisions = ("fp32", "int8")
    runtime = "litert"
    script = "litert_convert.py"
    suffix = ".tflite"
    form = PROGRAM
