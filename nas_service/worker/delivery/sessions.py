"""Sessions in which a compression's files are timed together; those far behind leave early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lookup_tables.measuring.timing import Timing
from nas_service.compilation.samples import read_samples, save_samples
from nas_service.engine.child import Progress
from nas_service.recorded.feeds import Named, read_recorded
from nas_service.storage.agents import MAX_ANSWERS_BYTES
from nas_service.worker.context import Context
from nas_service.worker.delivery.bench import open_bench
from nas_service.worker.delivery.built import Built
from nas_service.worker.delivery.model_files import Key
from nas_service.worker.devices.base import MeasuringDevice
from nas_service.worker.tasks.profile import keep_references

SESSIONS = 3
N_SAMPLES_THERE = 32
"""Test samples that are sent to a device elsewhere to be answered there."""
BASE = ("onnxruntime", "fp32")
"""What every model is compared with beside the fp32 of its own runtime."""
FAR_BEHIND = 1.5
"""A file that takes so many times as long as the original is refused, whatever comes after."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What a file's sessions say together, and whether most of them were stable."""

    timing: Timing
    stable: bool


def base_of(key: Key, built: Mapping[Key, Built]) -> Key | None:
    """The original that a compressed file is compared with: of its own runtime, if that runs."""
    for found in (("original", key[1], "fp32"), ("original", *BASE)):
        if found in built:
            return found
    return None


def measure(
    context: Context,
    device: MeasuringDevice,
    built: Mapping[Key, Built],
    seed: int,
    folder: Path,
    report: Progress,
) -> dict[Key, Timed]:
    """Time all files that ran in interleaved sessions; a file's middle one counts."""
    keys = {"/".join(key): key for key, one in built.items() if one.ran}
    ran = {name: built[key] for name, key in keys.items()}
    if not ran:
        return {}
    number = 0

    def on_progress(_: float, note: str) -> None:
        said = f"measuring, session {number + 1} of {SESSIONS}"
        report(0.7 + 0.08 * number, f"{said}: {note}" if note else said)

    files = {name: (one.path, one.target) for name, one in ran.items()}
    bench = open_bench(device, files, on_progress=on_progress)
    if not device.here and all(one.outputs is not None for one in ran.values()):
        # what they answer here is known
        for name, outputs in bench.loaded.outputs(_first_samples(folder)).items():
            ran[name].outputs_there = outputs
    if not device.here and all(one.answers is not None for one in ran.values()):
        shown = _first_recorded(folder, ran)
        for name, answers in (bench.loaded.answers(shown) if shown else {}).items():
            ran[name].answers_there = answers
    pairs = {
        "/".join(key): "/".join(base)
        for key in built
        if key[0] == "compressed" and (base := base_of(key, built)) is not None
    }
    timed: dict[str, list[Timing]] = {name: [] for name in ran}
    for number in range(SESSIONS):  # what progress is told of
        on_progress(0.0, "")
        wanted = [name for name in ran if not far_behind(name, pairs, timed)]
        for name, timing in bench.loaded.measure(wanted, seed + number).items():
            timed[name].append(timing)
    keep_references(context, device.stored.id, bench.profiler)
    return {key: _typical(timed[name]) for name, key in keys.items()}


def _typical(timings: Sequence[Timing]) -> Timed:
    """The middle one of the stable sessions, of all where none was."""
    steady = [timing for timing in timings if timing.stable] or list(timings)
    middle = median(timing.p50_ms for timing in steady)
    chosen = min(steady, key=lambda timing: abs(timing.p50_ms - middle))
    return Timed(chosen, sum(timing.stable for timing in timings) * 2 > len(timings))


def far_behind(name: str, pairs: Mapping[str, str], timed: Mapping[str, list[Timing]]) -> bool:
    """Whether a file was so much slower than its original in a steady session that it is refused.

    `pairs` are originals by the name of what was made of them; both need a steady session.
    """
    if name not in pairs:
        return False
    own = [timing.p50_ms for timing in timed[name] if timing.stable]
    base = [timing.p50_ms for timing in timed.get(pairs[name], []) if timing.stable]
    return bool(own and base) and min(own) > FAR_BEHIND * max(base)


def _first_recorded(folder: Path, ran: Mapping[str, Built]) -> list[Named]:
    """The same of recorded samples: fewer, or none, where answers are more than is sent back."""
    each_bytes = sum(_most_bytes(built.answers or ()) for built in ran.values())
    most = MAX_ANSWERS_BYTES // max(each_bytes, 1)
    return [*read_recorded(folder / "test.npz")[: min(N_SAMPLES_THERE, most)]]


def _most_bytes(answers: Sequence[Named]) -> int:
    return max((sum(one.nbytes for one in answer.values()) for answer in answers), default=0)


def _first_samples(folder: Path) -> Path:
    """What is sent to the device to be answered there."""
    return save_samples(
        folder / "first-samples.npz", inputs=read_samples(folder / "test.npz")[:N_SAMPLES_THERE]
    )
