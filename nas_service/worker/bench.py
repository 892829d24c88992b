"""Where a search's files are measured: on this machine, or through the agent of their device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lookup_tables import anchor
from lookup_tables.conditions import meter_of_this_machine
from lookup_tables.measure import Timing, measure
from lookup_tables.runtimes import runner
from lookup_tables.target import PLAIN_RUNTIME, Target
from nas_service.compilation.base import Compiler, Executable, Source
from nas_service.compilation.benchmark import (
    ATTEMPTS,
    PROTOCOL,
    Benchmark,
    benchmark,
    runners_of,
)
from nas_service.plugins import COMPILERS, load
from nas_service.storage.devices import StoredDevice
from nas_service.worker.context import Context, require_this_machine
from nas_service.worker.remote_files import RemoteFiles

Floats = npt.NDArray[np.float32]
REMOTE_ATTEMPTS = 3


@dataclass
class Bench:
    """Compiled files on their target; `session` measures all of them once, beside the anchor."""

    compiled: dict[str, Path]
    targets: Mapping[str, Target]
    take: Callable[[int], dict[str, Timing]]
    outputs: dict[str, Floats]
    anchor_then_ms: float | None
    attempts: int = ATTEMPTS
    max_shift: float = anchor.MAX_SHIFT
    sessions: list[Benchmark] = field(default_factory=list)

    def session(self, seed: int) -> Benchmark:
        """Measure every file once more; what is not stable is marked so."""
        # a restless machine is waited for over sessions rather than within each of them
        found = benchmark(
            self.take,
            self.anchor_then_ms,
            seed=seed + 1000 * len(self.sessions),
            attempts=min(self.attempts, 2) if self.sessions else self.attempts,
            max_shift=self.max_shift,
        )
        self.sessions.append(found)
        return found


def open_bench(
    context: Context,
    device: StoredDevice,
    job_id: str,
    sources: Mapping[str, Source],
    targets: Mapping[str, Target],
    folder: Path,
    *,
    images: Floats | None = None,
    anchor_then_ms: float | None = None,
) -> Bench:
    """Compile networks by name, each for the target of that name, and make them ready to measure.

    With `images` `(n, c, s, s)`, `outputs` are each file's logits on the device.
    """
    compiled: dict[str, Path] = {}
    executables: dict[str, tuple[Executable, Floats]] = {}
    for name, source in sources.items():
        compiler: Compiler = load(COMPILERS, targets[name].runtime)()
        compiled[name] = compiler.compile(
            source, targets[name], folder / name.replace(":", "-")
        ).path
        if device.local:
            executable = compiler.load(compiled[name], targets[name])
            executables[name] = (executable, _one_image(compiled[name], targets[name], images))
    anchor_file = anchor.write_anchor(folder)
    first = _plain(targets)
    if not device.local:
        return _remote(
            context, device, job_id, compiled, targets, folder, anchor_file, images, anchor_then_ms
        )
    require_this_machine(device)
    runners = {**runners_of(executables), anchor.NAME: runner(anchor_file, first)}

    protocol, max_shift = context.steady(PROTOCOL), context.settings.max_shift

    def take(seed: int) -> dict[str, Timing]:
        return measure(runners, protocol, seed=seed, meter=meter_of_this_machine())

    outputs = {}
    if images is not None:
        for name, (executable, _) in executables.items():
            outputs[name] = np.concatenate([executable.run(one[None]) for one in images])
    return Bench(compiled, targets, take, outputs, anchor_then_ms, max_shift=max_shift)


def _remote(
    context: Context,
    device: StoredDevice,
    job_id: str,
    compiled: dict[str, Path],
    targets: Mapping[str, Target],
    folder: Path,
    anchor_file: Path,
    images: Floats | None,
    anchor_then_ms: float | None,
) -> Bench:
    files = {name: (path, targets[name]) for name, path in compiled.items()}
    remote = RemoteFiles(
        context, device, job_id, {**files, anchor.NAME: (anchor_file, _plain(targets))}
    )
    outputs: dict[str, Floats] = {}
    if images is not None:
        given = folder / "images.npz"
        np.savez(given, images=images)
        outputs = remote.outputs(compiled, given)
    return Bench(
        compiled,
        targets,
        remote.measure,
        outputs,
        anchor_then_ms,
        REMOTE_ATTEMPTS,
        context.settings.max_shift,
    )


def _plain(targets: Mapping[str, Target]) -> Target:
    """A target of ONNX Runtime, which the anchor is a graph for."""
    for one in targets.values():
        if one.runtime == PLAIN_RUNTIME:
            return one
    return replace(next(iter(targets.values())), runtime=PLAIN_RUNTIME)


def _one_image(path: Path, target: Target, images: Floats | None) -> Floats:
    if images is not None:
        return np.ascontiguousarray(images[:1])
    from lookup_tables import runtimes

    inputs = runtimes.random_inputs(runtimes.load(path, target).inputs)
    (values,) = inputs.values()
    return np.asarray(values, dtype=np.float32)
