"""A model's files, compiled for their targets and run on the test samples here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookup_tables.measuring.timing import Timing
from lookup_tables.quantized import is_half, is_quantized
from lookup_tables.target import Target
from nas_service.compilation.base import Converter, FloatArray32, Source
from nas_service.compilation.cache import CompileCache
from nas_service.compilation.shares import Shares, shares_of
from nas_service.compilation.toolchains import require, runs_here
from nas_service.compilation.verify import outputs_of
from nas_service.plugins import CONVERTERS, load
from nas_service.worker.context import Context
from nas_service.worker.devices.base import MeasuringDevice

Key = tuple[str, str, str]
"""A file: `original` or `compressed`, runtime, precision."""


@dataclass
class Built:
    """A compiled file and what is known of it."""

    path: Path
    target: Target
    notes: dict[str, Any]
    outputs: FloatArray32 | None = None
    outputs_there: FloatArray32 | None = None
    """On the device itself, of the first samples, where that is not this machine."""
    timing: Timing | None = None
    stable: bool = False
    shares: Shares | None = None
    """How much of it is in its precision; None where its format is not read."""


def build(
    context: Context,
    device: MeasuringDevice,
    key: Key,
    folder: Path,
) -> Built:
    """Compile one model for one target, and run it on the test samples in a process of its own."""
    which, runtime, precision = key
    converter: Converter = load(CONVERTERS, runtime)()
    version = require(converter.toolchain, context.settings)
    device.require_compiled_for(runtime)
    if not (device.here or converter.toolchain.hardware):
        device.require_runtime(runtime)
    there = device.runtimes().versions
    target = Target(device.name, runtime, there.get(runtime, version), precision)
    cache = CompileCache(context.settings.var_dir / "compiled", context.settings)
    source = source_of(which, precision, folder)
    made = cache.compile(converter, source, target, folder / f"{which}-{runtime}-{precision}")
    built = Built(made.path, target, dict(made.notes), shares=shares_of(made.path, precision))
    if not runs_here(runtime):
        return built  # an estimate at best: not run on hardware
    built.outputs = outputs_of(
        made.path, target, folder / "test.npz", folder / f"{which}-{runtime}-{precision}.npz"
    )
    return built


_FORMS: dict[str, Callable[[Path], bool]] = {"int8": is_quantized, "fp16": is_half}
"""Precisions that a pass on the graph may have given it."""


def source_of(which: str, precision: str, folder: Path) -> Source:
    """The forms of a model below `folder` that its file of a precision is made of."""

    def there(name: str) -> Path | None:
        path = folder / name
        return path if path.is_file() else None

    graph, made = there(f"{which}.onnx"), there("graph.onnx")
    if which == "compressed" and made and precision in _FORMS and _FORMS[precision](made):
        graph = made
    return Source(graph, there(f"{which}.pt2"), folder / "calibration.npz")
