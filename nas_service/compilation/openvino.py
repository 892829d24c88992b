"""OpenVINO on the CPU: fp32 and bf16 by the plug-in's hint, int8 by NNCF (FakeQuantize)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas_service.compilation.converted import ScriptConverter, packed
from nas_service.compilation.toolchains import Toolchain


class OpenVinoConverter(ScriptConverter):
    """From ONNX to a zip of OpenVINO's own two files."""

    toolchain = Toolchain("openvino", ("openvino", "nncf"))
    precisions = ("fp32", "bf16", "int8")
    any_signature = True
    runtime = "openvino"
    script = "openvino_convert.py"
    suffix = ".openvino.zip"
    converted_suffix = ".xml"

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """Both files in one."""
        del notes
        model, weights = files
        whole = model.with_name("model.zip")
        return packed({"model.xml": model, "model.bin": weights}, {}, whole)
