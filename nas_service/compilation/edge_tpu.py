"""Coral Edge TPU: an int8 LiteRT file by Google's compiler: not run on hardware."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from lookup_tables.target import Target
from nas_service.compilation.base import Compiled, Converter, Source
from nas_service.compilation.forms import PROGRAM
from nas_service.compilation.litert import LiteRtConverter
from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.toolchains import Toolchain, require
from nas_service.errors import StepFailed

_ON_TPU = re.compile(r"Number of operations that will run on Edge TPU: (\d+)")
_ON_PROCESSOR = re.compile(r"Number of operations that will run on CPU: (\d+)")


class EdgeTpuConverter(Converter):
    """From an exported program by way of LiteRT's int8."""

    toolchain = Toolchain("edge-tpu", programs=("edgetpu_compiler",), hardware="Coral Edge TPU")
    runtime = "edge-tpu"
    form = PROGRAM
    built_on = (LiteRtConverter.toolchain,)
    precisions = ("int8",)

    def command(self, plain: Path, folder: Path) -> list[str]:
        """What compiles; `--min_runtime_version 14` fits every device that is sold."""
        options = ["--show_operations", "--min_runtime_version", "14"]
        return ["edgetpu_compiler", *options, "--out_dir", str(folder), str(plain)]

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """See `Converter.compile`; notes say how many operators the accelerator takes."""
        require(self.toolchain, self.settings)
        out_dir.mkdir(parents=True, exist_ok=True)
        litert = replace(target, runtime="litert")
        with tempfile.TemporaryDirectory(dir=out_dir) as name:
            folder = Path(name)
            plain = LiteRtConverter(self.settings).compile(source, litert, folder).path
            told = run_limited(self.command(plain, folder), "edgetpu_compiler", Limits(600.0))
            made = folder / f"{plain.stem}_edgetpu.tflite"
            if not made.is_file():
                raise StepFailed("edgetpu_compiler wrote no file")
            final = out_dir / plain.name.replace(".tflite", ".edgetpu.tflite")
            made.replace(final)
        return Compiled(final, {**mapped_of(told), "status": "not run on hardware"})


def mapped_of(told: str) -> dict[str, Any]:
    """How many operators run where, from what the compiler printed; None where it does not say."""
    on_tpu, on_processor = _ON_TPU.search(told), _ON_PROCESSOR.search(told)
    return {
        "operators_on_accelerator": int(on_tpu[1]) if on_tpu else None,
        "operators_on_processor": int(on_processor[1]) if on_processor else None,
    }
