"""Arm Ethos-U by vela: an int8 LiteRT file for a microcontroller's accelerator.

Files do not run on this machine: not run on hardware. Vela estimates how long they take, which is
an estimate and no measurement, and none at all where operators fall back to the processor: vela
counts those as no time.
"""

from __future__ import annotations

import csv
import re
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lookup_tables.target import Target
from nas_service.compilation.base import Compiled, Converter, Source
from nas_service.compilation.forms import PROGRAM
from nas_service.compilation.litert import LiteRtConverter
from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.toolchains import Toolchain, require
from nas_service.errors import StepFailed
from nas_service.settings import Settings

_ON_PROCESSOR = re.compile(r"CPU operators = (\d+)")


@dataclass(frozen=True)
class Accelerator:
    """What vela compiles for; its names are those of vela's own configuration."""

    accelerator: str = "ethos-u55-128"
    system: str = "Ethos_U55_High_End_Embedded"
    memory: str = "Shared_Sram"


class EthosUConverter(Converter):
    """From an exported program by way of LiteRT's int8 to vela's file."""

    toolchain = Toolchain("ethos-u", ("ethos-u-vela",), hardware="Arm Ethos-U")
    runtime = "ethos-u"
    form = PROGRAM
    built_on = (LiteRtConverter.toolchain,)
    precisions = ("int8",)

    def __init__(
        self, settings: Settings | None = None, accelerator: Accelerator = Accelerator()
    ) -> None:
        super().__init__(settings, **asdict(accelerator))
        self.accelerator = accelerator

    def compile(self, source: Source, target: Target, out_dir: Path) -> Compiled:
        """See `Converter.compile`; notes hold vela's figures."""
        require(self.toolchain, self.settings)
        out_dir.mkdir(parents=True, exist_ok=True)
        litert = replace(target, runtime="litert")
        with tempfile.TemporaryDirectory(dir=out_dir) as name:
            folder = Path(name)
            plain = LiteRtConverter(self.settings).compile(source, litert, folder).path
            notes = self.vela(plain, folder)
            final = out_dir / plain.name.replace(".tflite", ".vela.tflite")
            (folder / f"{plain.stem}_vela.tflite").replace(final)
        return Compiled(final, notes)

    def vela(self, plain: Path, folder: Path) -> dict[str, Any]:
        """Compile a .tflite in `folder`; gives what vela says of the result."""
        command = [sys.executable, "-m", "ethosu.vela", str(plain)]
        command += ["--output-dir", str(folder)]
        command += ["--accelerator-config", self.accelerator.accelerator]
        command += ["--system-config", self.accelerator.system]
        command += ["--memory-mode", self.accelerator.memory]
        told = run_limited(command, "vela", Limits(time_s=120.0))
        found = _ON_PROCESSOR.search(told)
        tables = list(folder.glob(f"{plain.stem}_summary*.csv"))
        if found is None or len(tables) != 1:
            raise StepFailed("vela gave no summary")
        with tables[0].open(newline="") as file:
            (row,) = csv.DictReader(file)
        on_processor = int(found[1])
        return {
            "accelerator": self.accelerator.accelerator,
            "system": self.accelerator.system,
            "memory_mode": self.accelerator.memory,
            "operators_on_processor": on_processor,
            "estimated_ms": None if on_processor else 1e3 * float(row["inference_time"]),
            "sram_bytes": int(1024 * float(row["sram_memory_used"])),
            "status": "not run on hardware",
        }
