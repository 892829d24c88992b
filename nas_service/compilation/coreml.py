"""Core ML for Apple's devices: converted here, run there (not run on hardware)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas_service.compilation.converted import ScriptConverter, packed
from nas_service.compilation.forms import PROGRAM
from nas_service.compilation.toolchains import Toolchain


class CoreMlConverter(ScriptConverter):
    """From an exported program to a zipped .mlpackage; int8 is that of weights alone."""

    toolchain = Toolchain("coreml", ("coremltools",), hardware="Apple devices")
    precisions = ("fp16", "fp32", "int8")
    runtime = "coreml"
    script = "coreml_convert.py"
    suffix = ".mlpackage.zip"
    converted_suffix = ".mlpackage"
    form = PROGRAM
    quantises = ()

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """The package's folder in one file."""
        notes["status"] = "not run on hardware"
        (package,) = files
        inside = {
            str(Path("model.mlpackage") / one.relative_to(package)): one
            for one in sorted(package.rglob("*"))
            if one.is_file()
        }
        return packed(inside, {}, package.with_name("model.zip"))
