"""Random architectures through every runtime that runs here: do they compile, agree, how fast?

Each network is taught to tell ten colours apart, so that its logits mean something, then compiled
in every precision of every runtime, compared with torch and timed, all interleaved.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks.rows import Row, keep, parser, report
from lookup_tables.measuring.timing import Protocol
from lookup_tables.profile import LocalProfiler
from lookup_tables.runtimes.registry import runner
from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Converter, FloatArray32, Source
from nas_service.compilation.toolchains import runs_here
from nas_service.compilation.verify import outputs_of
from nas_service.errors import NasError
from nas_service.learning.registry import learning_task
from nas_service.networks.build import build
from nas_service.networks.export import export, export_program
from nas_service.plugins import CONVERTERS, SPACES, load
from nas_service.recorded.parity import parity_of
from nas_service.settings import Settings
from nas_service.space.base import ImageShape, input_size
from nas_service.space.sampling import distinct

RUNTIMES = ("onnxruntime", "openvino", "litert", "executorch", "tvm", "ethos-u")
PROTOCOL = Protocol(turns=12, repeats=5)
CLASSES, MAX_STEPS, LEARNED = 10, 150, 0.05


@dataclass
class Tally:
    """What came of a runtime's precision over all networks."""

    compiled: int = 0
    agreed: int = 0
    latency_ms: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("compilers", __doc__ or "")
    options.add_argument("--space", action="append", help="default: every built-in one")
    options.add_argument("--networks", type=int, default=20)
    options.add_argument("--network", type=int, action="append", help="which of them; default: all")
    options.add_argument("--size", type=int, default=32)
    options.add_argument("--runtime", action="append", help="default: every one that is ready")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    ready = [one for one in given.runtime or RUNTIMES if _ready(one)]
    rows: list[Row] = []
    for name in given.space or ["mbconv", "nasbench201"]:
        space = load(SPACES, name)(ImageShape(given.size, 3, CLASSES))
        tallies: dict[tuple[str, str], Tally] = {}
        chosen = distinct(space, given.networks, np.random.default_rng([given.seed, 21]))
        numbers = range(len(chosen)) if given.network is None else given.network
        for number in numbers:
            genotype = chosen[number]
            print(f"{name}: network {number} of {len(chosen)}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                size = input_size(space, genotype)
                network = build(space, genotype, seed=number)
                one_network(network, size, Path(folder), ready, tallies, number)
        rows += rows_of(name, tallies, len(numbers))
        keep(rows, given.out)
    report(rows, given.out)
    return 0


def one_network(
    network: torch.nn.Module,
    size: int,
    folder: Path,
    runtimes: list[str],
    tallies: dict[tuple[str, str], Tally],
    seed: int,
) -> None:
    """Compile, compare and time one network everywhere."""
    images, calibration, logits = taught(network, size, seed)
    export(network, folder / "m.onnx", (1, 3, size, size))
    export_program(network, folder / "m.pt2", (1, 3, size, size))
    np.savez(folder / "calibration.npz", images=calibration)
    np.savez(folder / "test.npz", images=images)
    source = Source(folder / "m.onnx", folder / "m.pt2", folder / "calibration.npz")
    ran: dict[str, Callable[[], object]] = {}
    targets: dict[str, Target] = {}
    for runtime in runtimes:
        compiler: Converter = load(CONVERTERS, runtime)()
        for precision in compiler.precisions:
            tally = tallies.setdefault((runtime, precision), Tally())
            target = Target("this-machine", runtime, "", precision)
            try:
                made = compiler.compile(source, target, folder / f"{runtime}-{precision}")
                tally.compiled += 1
                if not runs_here(runtime):
                    tally.agreed += made.notes.get("estimated_ms") is not None
                    continue
                out = folder / f"{runtime}-{precision}.npz"
                found = outputs_of(made.path, target, folder / "test.npz", out)
            except NasError as error:
                tally.problems.append(f"network {seed}: {error}")
                continue
            same = parity_of(found, logits, precision, learning_task().agreement)
            tally.agreed += same.ok
            if not same.ok:
                tally.problems.append(f"network {seed}: {same}")
            ran[f"{runtime}/{precision}"] = runner(made.path, target)
            targets[f"{runtime}/{precision}"] = target
    timings = LocalProfiler().measure_loaded(ran, targets, protocol=PROTOCOL, seed=seed)
    base = timings["onnxruntime/fp32"].p50_ms if "onnxruntime/fp32" in timings else np.nan
    for name, timing in timings.items():
        runtime, _, precision = name.partition("/")
        tallies[runtime, precision].latency_ms.append(timing.p50_ms)
        tallies[runtime, precision].ratio.append(base / timing.p50_ms)


def taught(
    network: torch.nn.Module, size: int, seed: int
) -> tuple[FloatArray32, FloatArray32, FloatArray32]:
    """Teach a network ten colours; test and calibration images, and its logits of the former."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(320) % CLASSES
    colours = 1.5 * torch.randn(CLASSES, 3, 1, 1, generator=generator)
    images = colours[labels] + 0.3 * torch.randn(320, 3, size, size, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    network.train()
    for step in range(MAX_STEPS):
        rows = torch.arange(32) + 32 * (step % 8)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[rows]), labels[rows])
        loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
        optimizer.step()
        if step >= 40 and float(loss.detach()) < LEARNED:
            break
    with torch.no_grad():
        # averages over all images instead of moving ones, which lag behind so few steps
        norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for start in range(0, 256, 64):
            network(images[start : start + 64])
        logits = network.eval()(images[256:288])
    return images[256:288].numpy(), images[288:].numpy(), logits.numpy()


def rows_of(case: str, tallies: dict[tuple[str, str], Tally], n: int) -> list[Row]:
    """Rows of all runtimes; what did not work is told on standard error."""
    rows = []
    for (runtime, precision), tally in tallies.items():
        figures = {"compiled": tally.compiled / n, "agreed": tally.agreed / n}
        if tally.latency_ms:
            figures["median_latency_ms"] = float(np.median(tally.latency_ms))
            figures["median_speedup_over_ort_fp32"] = float(np.median(tally.ratio))
        for metric, value in figures.items():
            rows.append(Row("compilers", case, f"{runtime} {precision}", metric, n, float(value)))
        for problem in tally.problems:
            print(f"{case}, {runtime} {precision}: {problem}", file=sys.stderr)
    return rows


def _ready(name: str) -> bool:
    told = toolchains.status(toolchains.toolchain(name), Settings())
    if not told.ready:
        print(f"left out {name}: it lacks {', '.join(told.missing)}: {told.how}", file=sys.stderr)
    return told.ready


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
