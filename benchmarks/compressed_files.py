"""Files of compressed networks for every runtime here: made, compared, timed together, judged."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.rows import Row
from lookup_tables.measuring.anchors import processor_anchors
from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.protocol import measure
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.runtimes.registry import runner
from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.verify import outputs_of
from nas_service.compression.apply import apply
from nas_service.compression.base import PassContext
from nas_service.compression.distillation import answering
from nas_service.compression.graph_samples import calibration_inputs
from nas_service.compression.recipe import Recipe
from nas_service.compression.report import report_of
from nas_service.compression.structured import STRUCTURED
from nas_service.compression.weight_sharing import entropy_coded, pack
from nas_service.delivery.measured import Measured
from nas_service.delivery.verdict import Terms, judge
from nas_service.errors import NasError
from nas_service.learning.base import Data
from nas_service.learning.registry import learning_task
from nas_service.networks.build import count_macs
from nas_service.networks.export import export_program
from nas_service.plugins import CONVERTERS, load
from nas_service.recorded.parity import Parity, parity_of
from nas_service.settings import Settings

PROTOCOL = Protocol(turns=20, warmups=3, repeats=5, patience_s=120.0)
MAX_LOSS, SPEEDUP_SHARE = 0.01, 0.8
BASE, PLAIN = "fp32", "onnxruntime fp32"


@dataclass
class Variant:
    """What a recipe made of a network, and its files by `runtime precision`."""

    network: nn.Module
    parameters: int
    macs: int
    promised: float = 1.0
    """The speed-up that MACs which were pruned away promise."""
    files: dict[str, Path] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    same: dict[str, Parity] = field(default_factory=dict)


def rows_of(
    case: str,
    network: nn.Module,
    size: int,
    data: Data,
    recipes: dict[str, tuple[list[Any], Sequence[str]]],
    seed: int,
) -> list[Row]:
    """Run recipes, make their files, time all of them interleaved, and judge each."""
    with tempfile.TemporaryDirectory() as name:
        made = {}
        for number, (recipe, (steps, wanted)) in enumerate(recipes.items()):
            say(f"{case}: {recipe}")
            folder = Path(name) / str(number)
            folder.mkdir()
            try:
                made[recipe] = variant(steps, wanted, network, size, data, folder, seed, recipe)
            except NasError as error:
                say(f"{case}, {recipe}: refused: {error}")
        ran: dict[str, Callable[[], object]] = {
            f"{recipe}/{told}": runner(path, target_of(told))
            for recipe, one in made.items()
            for told, path in one.files.items()
        }
        say(f"{case}: measuring {len(ran)} files")
        timings = settled(ran, seed)
        return [
            row for recipe in made for row in _judged(case, recipe, made, timings, len(data.test))
        ]


def settled(ran: dict[str, Callable[[], object]], seed: int) -> dict[str, Timing]:
    """Timings in the machine's reference state; it is waited for as long as that takes."""
    return measure(ran, PROTOCOL, Machine(processor_anchors()), seed=seed).timings


def variant(
    steps: list[Any],
    wanted: Sequence[str],
    network: nn.Module,
    size: int,
    data: Data,
    folder: Path,
    seed: int,
    name: str,
) -> Variant:
    """One recipe's network and its files."""
    context = PassContext(data, size, seed=seed)
    if any("distill" in step for step in steps):
        context = replace(context, teacher=answering(network, context))
    made = apply(Recipe.of(steps), network, context, folder)
    told = report_of(name, {}, made.network, context)
    found = Variant(made.network, told.parameters, told.macs)
    if any(step.name in STRUCTURED for step in Recipe.of(steps).torch_steps):
        found.promised = count_macs(network, torch.zeros(1, 3, size, size)) / told.macs
    export_program(made.network, folder / "m.pt2", (1, 3, size, size))
    np.savez(folder / "calibration.npz", images=calibration_inputs(context))
    images = data.prepared(data.test.inputs, size).contiguous()
    np.savez(folder / "test.npz", images=images.numpy())
    with torch.no_grad():
        logits = np.concatenate([made.network(part).numpy() for part in torch.split(images, 250)])
    graph = made.exported if made.final == made.exported else made.final
    if "cluster" in name:
        pack(made.exported, folder / "packed.onnx")
        graph = folder / "packed.onnx"
    source = Source(graph, folder / "m.pt2", folder / "calibration.npz")
    for one in wanted:
        target = target_of(one)
        if not toolchains.status(toolchains.toolchain(target.runtime), Settings()).ready:
            say(f"left out {one}: it is not installed")
            continue
        compiler: Converter = load(CONVERTERS, target.runtime)()
        try:
            path = compiler.compile(source, target, folder / one.replace(" ", "-")).path
            if "cluster" in name:  # what is compiled holds every weight again: this is shipped
                path = graph
            answers = outputs_of(path, target, folder / "test.npz", folder / "logits.npz")
        except NasError as error:
            say(f"{name}, {one}: {error}")
            continue
        precision = "int8" if "int8" in name or "int8" in one else target.precision
        found.files[one] = path
        found.accuracy[one] = float((answers.argmax(1) == data.test.targets.numpy()).mean())
        found.same[one] = parity_of(answers, logits, precision, learning_task().agreement)
    return found


def _judged(
    case: str, recipe: str, made: dict[str, Variant], timings: dict[str, Timing], n: int
) -> list[Row]:
    base = made[BASE]
    terms = Terms(MAX_LOSS, max(1.0, SPEEDUP_SHARE * made[recipe].promised))
    rows = []

    def add(method: str, metric: str, value: float, of: int = 1) -> None:
        rows.append(Row("compression", case, method, metric, of, float(value)))

    one = made[recipe]
    add(recipe, "parameters", one.parameters)
    add(recipe, "macs", one.macs)

    def found_of(variant: Variant, name: str, told: str) -> Measured:
        timing = timings[f"{name}/{told}"]
        size = variant.files[told].stat().st_size
        return Measured(
            precision=told.split()[-1],
            accuracy=variant.accuracy[told],
            measurements={"latency_ms": timing.p50_ms, "size_bytes": float(size)},
            stable=timing.stable,
            same=variant.same[told],
        )

    for told, path in one.files.items():
        method = f"{recipe}: {told}"
        ours = found_of(one, recipe, told)
        plain = PLAIN if f"{told.split()[0]} fp32" not in base.files else f"{told.split()[0]} fp32"
        theirs = found_of(base, BASE, plain)
        verdict = judge(ours, theirs, terms)
        first = found_of(base, BASE, PLAIN)
        coded = path.with_name(path.name + ".xz")
        entropy_coded(path, coded)
        add(method, "accuracy", ours.accuracy, n)
        add(method, "loss", base.accuracy[PLAIN] - ours.accuracy, n)
        add(method, "size_bytes", ours.size_bytes)
        add(method, "entropy_coded_bytes", coded.stat().st_size)
        assert ours.latency_ms is not None
        assert first.latency_ms is not None
        add(method, "latency_ms", ours.latency_ms)
        add(method, "speedup_over_ort_fp32", first.latency_ms / ours.latency_ms)
        if recipe != BASE:
            add(method, "published", verdict.published)
            if not verdict.published:
                say(f"{case}, {method}: refused: {verdict.reason}")
    return rows


def target_of(told: str) -> Target:
    """The target of `runtime precision` on this machine."""
    runtime, _, precision = told.partition(" ")
    return Target("this-machine", runtime, "", precision)


def say(text: str) -> None:
    """Tell how far it is, beside the table."""
    print(text, file=sys.stderr, flush=True)
