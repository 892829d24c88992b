"""AOTInductor: torch.compile ahead of time, for this machine's processor or its NVIDIA GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas_service.compilation import toolchains
from nas_service.compilation.converted import ConvertedCompiler, packed
from nas_service.settings import Settings


class AotInductorCompiler(ConvertedCompiler):
    """From an exported program to a torch package, in a zip with the shapes of its inputs."""

    toolchain = toolchains.AOT_INDUCTOR
    precisions = ("fp32",)
    runtime = "aot-inductor"
    for_this_processor = True
    compiles_for_threads = True
    script = "aot_inductor_convert.py"
    suffix = ".aot.zip"
    converted_suffix = ".pt2"
    from_program = True

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """Package and shapes in one."""
        shapes = json.dumps(notes.pop("inputs"))
        whole = files[0].with_name("model.zip")
        return packed({"model.pt2": files[0]}, {"inputs.json": shapes}, whole)


class CudaInductorCompiler(AotInductorCompiler):
    """The same for the first GPU of this machine: not run on hardware."""

    toolchain = toolchains.AOT_INDUCTOR_CUDA
    runtime = "aot-inductor-cuda"
    compiles_for_threads = False
    suffix = ".cuda.zip"

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings, device="cuda")
