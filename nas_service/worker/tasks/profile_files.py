"""The files that a device is profiled with: blocks alone, and whole networks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from torch import nn

from lookup_tables.blocks import Block
from lookup_tables.graphs import block_graph
from lookup_tables.quantized import quantize, with_integer_borders
from lookup_tables.runtimes.registry import reads_graphs
from lookup_tables.target import Target
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.samples import save_samples
from nas_service.engine.child import Progress
from nas_service.networks.build import build
from nas_service.networks.export import export, export_program
from nas_service.plugins import CONVERTERS, load
from nas_service.space.base import IntArray, SearchSpace, input_size

_CONVERTED_AT_ONCE = 6
"""Networks converted by one process: progress is told in between."""

Array = npt.NDArray[np.float32]

BLOCKS_SHARE, NETWORKS_SHARE = 0.2, 0.5
"""Parts of the budget by which blocks, then networks, are built; the rest is for measuring."""
_LEAST_BLOCKS = 32


@dataclass(frozen=True)
class Clock:
    """How much of the budget is gone."""

    started: float
    budget_s: float

    def left(self, share: float) -> float:
        """Seconds until this share of the budget is spent; never below a hundredth of it."""
        end = self.started + share * self.budget_s
        return max(end - time.monotonic(), 0.01 * self.budget_s)

    def past(self, share: float) -> bool:
        return time.monotonic() > self.started + share * self.budget_s


def block_files(
    blocks: Sequence[Block],
    targets: Sequence[Target],
    folder: Path,
    clock: Clock,
    report: Progress,
) -> dict[int, dict[str, Path]]:
    """Graphs of as many blocks as their share of the time allows, a file a precision."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    files: dict[int, dict[str, Path]] = {}
    for number, block in enumerate(blocks):
        if clock.past(BLOCKS_SHARE) and number >= _LEAST_BLOCKS:
            break
        if number % 20 == 0:
            report(0.1 * number / len(blocks), f"building block {number} of {len(blocks)}")
        plain = folder / f"block{number}.onnx"
        onnx.save(block_graph(block, seed=number), plain)
        files[number] = {"fp32": plain}
        if any(target.precision == "int8" for target in targets):
            batches = [
                {
                    name: generator.standard_normal(shape, dtype=np.float32)
                    for name, shape in block.inputs.items()
                }
                for _ in range(2)
            ]
            quantised = folder / f"block{number}.int8.onnx"
            quantize(plain, quantised, batches)
            with_integer_borders(quantised)
            files[number]["int8"] = quantised
    return files


def network_files(
    space: SearchSpace,
    genotypes: IntArray,
    targets: Sequence[Target],
    folder: Path,
    report: Progress,
    between: tuple[float, float],
    clock: Clock | None,
    at_least: int,
) -> dict[int, dict[str, Path]]:
    """Whole networks with random weights; fewer where time runs out.

    A file a form, `fp32` and `int8`; a file a deployment where the runtime reads no graphs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    files: dict[int, dict[str, Path]] = {}
    converted = [target for target in targets if not reads_graphs(target.runtime)]
    sources: dict[int, Source] = {}
    for number, genotype in enumerate(genotypes):
        if clock is not None and number >= at_least and clock.past(NETWORKS_SHARE):
            break
        done = number / len(genotypes)
        report(
            between[0] + (between[1] - between[0]) * done,
            f"building network {number + 1} of {len(genotypes)}",
        )
        size = input_size(space, genotype)
        plain = folder / f"network{number}.onnx"
        network = build(space, genotype, seed=number)
        export(network, plain, space.sample.input_shape(size))
        files[number] = {"fp32": plain}
        if any(t.precision == "int8" and reads_graphs(t.runtime) for t in targets):
            shape = space.sample.input_shape(size)
            batches = [
                {"input": generator.standard_normal(shape, dtype=np.float32)} for _ in range(4)
            ]
            files[number]["int8"] = folder / f"network{number}.int8.onnx"
            quantize(plain, files[number]["int8"], batches)
        if converted:
            shape = (16, *space.sample.input_shape(size)[1:])
            samples = np.random.default_rng([2, number]).standard_normal(shape, dtype=np.float32)
            sources[number] = source_of(network, plain, samples)
    for target in converted:
        name = target.deployment.name
        converter: Converter = load(CONVERTERS, target.runtime)()
        for start in range(0, len(sources), _CONVERTED_AT_ONCE):
            report(between[1], f"converting for {name}: {start} of {len(sources)}")
            some = list(sources)[start : start + _CONVERTED_AT_ONCE]
            made = converter.compile_all(
                [sources[i] for i in some], target, folder / target.runtime
            )
            for number, one in zip(some, made, strict=True):
                files[number][name] = one.path
    return files


def file_key(target: Target) -> str:
    """The key of a target's file among those of `network_files`."""
    one = target.deployment
    return one.form if reads_graphs(one.runtime) else one.name


def source_of(network: nn.Module, graph: Path, samples: Array) -> Source:
    """A network in every form that converters read; `samples` `(n, ...)` are to calibrate with."""
    program = graph.with_suffix(".pt2")
    export_program(network, program, (1, *samples.shape[1:]))
    calibration = graph.with_name(f"{graph.stem}.calibration.npz")
    save_samples(calibration, inputs=samples)
    return Source(graph, program, calibration)
