"""From a network's forms to a file that was seen to run: compile, count, answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.target import Target
from nas_service.compilation.base import Converter, FloatArray32, Source
from nas_service.compilation.cache import CompileCache
from nas_service.compilation.samples import save_samples
from nas_service.compilation.shares import Shares, shares_of
from nas_service.compilation.toolchains import require, runs_here
from nas_service.compilation.verify import outputs_of
from nas_service.learning.base import Data, Split
from nas_service.plugins import CONVERTERS, load
from nas_service.recorded.feeds import Named
from nas_service.worker.context import Context
from nas_service.worker.devices.base import MeasuringDevice

_AT_ONCE_BYTES = 256 * 1024**2
"""Of prepared samples that a file is shown in one process."""


@dataclass
class Built:
    """A compiled file and what is known of it before it is measured."""

    path: Path
    target: Target
    notes: dict[str, Any]
    shares: Shares | None = None
    """How much of it is in its precision; None where its format is not read."""
    outputs: FloatArray32 | None = None
    """Of test samples `(n, ...)`, run by its runtime here; None where that is not here."""
    answers: Sequence[Named] | None = None
    """All outputs by name, where samples were recorded for the model; in place of `outputs`."""
    outputs_there: FloatArray32 | None = None
    """On the device itself, of the first samples, where that is not this machine."""
    answers_there: Sequence[Named] | None = None
    """The same in place of `answers`; outputs are called by their places."""

    @property
    def ran(self) -> bool:
        """Whether it was seen to run here."""
        return self.outputs is not None or self.answers is not None

    @property
    def ran_elsewhere(self) -> bool:
        """Whether it answered on another machine, on which it is measured."""
        return self.outputs_there is not None or self.answers_there is not None

    def not_in_precision(self) -> str:
        """What it counts of itself where nothing of it is in its precision; empty elsewhere."""
        if self.shares is None or self.target.precision == "fp32" or not self.shares.nothing:
            return ""
        return self.shares.sentence(self.target.precision)


def target_of(context: Context, device: MeasuringDevice, runtime: str, precision: str) -> Target:
    """What a model is compiled for; its runtime's version is the one here where it is not there.

    Raises:
        Unsupported: the toolchain is not here, or the device has no such runtime.
    """
    converter: Converter = load(CONVERTERS, runtime)()
    version = require(converter.toolchain, context.settings)
    device.require_compiled_for(runtime)
    if not (device.here or converter.toolchain.hardware):
        device.require_runtime(runtime)
    there = device.runtimes().versions
    return Target(device.name, runtime, there.get(runtime, version), precision)


def build(context: Context, source: Source, target: Target, out_dir: Path) -> Built:
    """Compile one network for one target, from the cache where the same was compiled before."""
    converter: Converter = load(CONVERTERS, target.runtime)()
    cache = CompileCache(context.settings.var_dir / "compiled", context.settings)
    made = cache.compile(converter, source, target, out_dir)
    return Built(made.path, target, dict(made.notes), shares_of(made.path, target.precision))


def answer(built: Built, samples: Path) -> None:
    """Run a file on prepared samples in a process of its own: one that breaks takes only itself.

    Where its runtime is not here, nobody knows what it answers.

    Raises:
        StepFailed: the runtime refused the file, broke, or went over a limit.
    """
    if runs_here(built.target.runtime):
        out = built.path.parent / f"{built.path.name}.outputs.npz"
        built.outputs = outputs_of(built.path, built.target, samples, out)


def answer_split(built: Built, data: Data, split: Split, size: int, folder: Path) -> None:
    """The same on stored samples, as many at once as leave memory for others."""
    sample_bytes = 4 * int(np.prod(data.example(size)))
    at_once = max(1, _AT_ONCE_BYTES // sample_bytes)
    parts = []
    for start in range(0, len(split), at_once):
        inputs = data.prepared(split.inputs[start : start + at_once], size).contiguous().numpy()
        answer(built, save_samples(folder / "shown.npz", inputs=inputs))
        if built.outputs is None:
            return
        parts.append(built.outputs)
    built.outputs = np.concatenate(parts)
