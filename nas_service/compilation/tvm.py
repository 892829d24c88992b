"""Apache TVM for this machine's processor, untuned or tuned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas_service.compilation.converted import ScriptConverter, packed
from nas_service.compilation.process import Limits
from nas_service.compilation.toolchains import Toolchain
from nas_service.settings import Settings


class TvmConverter(ScriptConverter):
    """From ONNX to a shared library, in a zip with the shapes of its inputs."""

    toolchain = Toolchain("tvm", ("apache-tvm",), programs=("g++",))
    precisions = ("fp32",)
    runtime = "tvm"
    for_this_processor = True
    script = "tvm_convert.py"
    suffix = ".tvm.zip"
    converted_suffix = ".so"
    limits = Limits(time_s=1800.0)

    def finish(self, files: list[Path], notes: dict[str, Any]) -> Path:
        """Library and shapes in one."""
        shapes = json.dumps(notes.pop("inputs"))
        whole = files[0].with_name("model.zip")
        return packed({"model.so": files[0]}, {"inputs.json": shapes}, whole)


class TunedTvmConverter(TvmConverter):
    """The same with schedules that are searched for, and timed, on this machine.

    That takes minutes: `NAS_TVM_TRIALS` schedules for each distinct operator, about .7 s each.
    """

    toolchain = Toolchain("tvm-tuned", ("apache-tvm", "xgboost-cpu"), programs=("g++",))
    runtime = "tvm-tuned"
    compiles_for_threads = True
    suffix = ".tvm-tuned.zip"
    limits = Limits(time_s=6 * 3600.0)

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        settings = settings or Settings()
        super().__init__(settings, **{"trials": settings.tvm_trials, **options})
