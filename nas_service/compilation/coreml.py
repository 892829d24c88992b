"""Core ML for Apple's devices: converted here, run there (not run on hardware)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Executable
from nas_service.compilation.converted import ConvertedCompiler, packed
from nas_service.errors import Unsupported


class CoreMlCompiler(ConvertedCompiler):
    """From an exported program to a zipped .mlpackage; int8 is that of weights alone."""

    toolchain = toolchains.COREML
    precisions = ("fp16", "fp32", "int8")
    runtime = "coreml"
    script = "coreml_convert.py"
    suffix = ".mlpackage.zip"
    converted_suffix = ".mlpackage"
    from_program = True
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

    def load(self, compiled: Path, target: Target) -> Executable:
        """Refuses: an Apple device is needed."""
        raise Unsupported(f"{compiled.name} runs on Apple's devices ({target.device}), not here")
