"""AOTInductor: torch.compile ahead of time, for this machine's processor or its NVIDIA GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas_service.compilation.converted import ScriptConverter, packed
from nas_service.compilation.forms import PROGRAM
from nas_service.compilation.toolchains import Toolchain
from nas_service.settings import Settings


class AotInductorConverter(ScriptConverter):
    """From an exported program to a torch package, in a zip with the shapes of its inputs."""

    toolchain = Toolchain("aot-inductor", ("torch",), programs=("g++",))
    precisions = ("fp32",)
    runtime = "aot-inductor"
    for_this_processor = True
    compiles_for_threads = True
    script = "aot_inductor_convert.py"
    suffix = ".aot.zip"
    converted_suffix = ".pt2"
    form = PROGRAM

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """Package and shapes in one."""
        shapes = json.dumps(notes.pop("inputs"))
        whole = files[0].with_name("model.zip")
        return packed({"model.pt2": files[0]}, {"inputs.json": shapes}, whole)


class CudaInductorConverter(AotInductorConverter):
    """The same for the first GPU of this machine: not run on hardware."""

    toolchain = Toolchain(
        "aot-inductor-cuda",
        ("torch",),
        programs=("g++", "nvidia-smi", "nvcc"),  # it compiles against CUDA's headers
        hardware="NVIDIA GPU",
    )
    runtime = "aot-inductor-cuda"
    compiles_for_threads = False
    suffix = ".cuda.zip"

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings, device="cuda")
