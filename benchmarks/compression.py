"""What each compression pass gives on networks of a searched front, and on ResNet-8.

A supernet is trained on CIFAR-10 and searched; three networks of its front are fine-tuned and go
through every recipe. Their files are made for every runtime here, compared with the network,
tested on test images by their own runtime, and timed beside the network's fp32 file for ONNX
Runtime. A file that the gate refuses is told with the reason. Tucker and CP, which need
convolutions that are neither 1x1 nor depthwise, are tried on ResNet-8; distillation on the smallest
of the three, from scratch.
"""

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

from benchmarks.images import images as load_images
from benchmarks.rows import Row, keep, parser, report
from benchmarks.searched import costs_of, sampled, searched, spread_over_front, supernet_of
from lookup_tables.measure import Protocol, Timing, measure
from lookup_tables.runtimes import runner
from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Compiler, Source
from nas_service.compilation.gate import Found, decide
from nas_service.compilation.parity import Parity, parity_of
from nas_service.compilation.verify import logits_of
from nas_service.compression.apply import apply, apply_torch
from nas_service.compression.base import PassContext
from nas_service.compression.distillation import answering
from nas_service.compression.quantization import calibration_images
from nas_service.compression.recipe import Recipe
from nas_service.compression.report import report_of
from nas_service.compression.weight_sharing import entropy_coded, pack
from nas_service.errors import InvalidSpec, NasError
from nas_service.networks.build import build
from nas_service.networks.export import export_program
from nas_service.networks.reference import reference
from nas_service.networks.supernet import Supernet
from nas_service.plugins import COMPILERS, load
from nas_service.search.cost import StructureModel
from nas_service.search.evaluate import Problem
from nas_service.search.shipping import ShippingModel
from nas_service.settings import Settings
from nas_service.space.base import input_size
from nas_service.space.deployment import DeploymentSpace
from nas_service.training.data import Data
from nas_service.training.loop import TrainRecipe, accuracy, recalibrate, train

PROTOCOL = Protocol(rounds=20, warmups=3, repeats=5)
ATTEMPTS = 10
MAX_LOSS = 0.01
BASE, PLAIN = "fp32", "onnxruntime fp32"
INT8 = tuple(f"{name} int8" for name in ("onnxruntime", "openvino", "litert", "executorch"))
FLOATS = (PLAIN, "openvino fp32", "openvino bf16", "executorch fp32")


@dataclass
class Variant:
    """What a recipe made of a network, and its files by `runtime precision`."""

    network: nn.Module
    parameters: int
    macs: int
    files: dict[str, Path] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    same: dict[str, Parity] = field(default_factory=dict)


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("compression", __doc__ or "")
    options.add_argument("--data", type=Path, help="data set; default: CIFAR-10 of NAS_BENCH_DATA")
    options.add_argument("--train-images", type=int, default=10_000)
    options.add_argument("--test-images", type=int, default=5_000)
    options.add_argument("--epochs", type=int, default=5, help="of the supernet")
    options.add_argument("--finetune-epochs", type=int, default=8)
    options.add_argument("--pass-epochs", type=int, default=4, help="after a pass; half for QAT")
    options.add_argument("--scratch-epochs", type=int, default=12, help="where distillation starts")
    options.add_argument("--networks", type=int, default=3)
    options.add_argument("--supernet", type=Path, help="weights: read, or trained and written")
    options.add_argument("--part", action="append", choices=("passes", "tensors", "distillation"))
    given = options.parse_args(arguments)
    try:
        data = load_images(given.data, given.train_images, given.test_images)
    except InvalidSpec as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    parts = given.part or ["passes", "tensors", "distillation"]
    rows: list[Row] = []
    if "tensors" in parts:
        rows += tensors(data, given.scratch_epochs, given.pass_epochs, given.seed)
    if "passes" in parts or "distillation" in parts:
        supernet = supernet_of(data, given.epochs, 64, given.seed, given.supernet)
        networks = front_networks(supernet, data, given.networks, given.finetune_epochs, given.seed)
        if "passes" in parts:
            for number, (network, size) in enumerate(networks):
                case = f"front network {number + 1}"
                rows += passes(case, network, size, data, given.pass_epochs, given.seed)
                keep(rows, given.out)
        if "distillation" in parts:
            rows += distillation(supernet, networks, data, given.scratch_epochs, given.seed)
    report(rows, given.out)
    return 0


def front_networks(
    supernet: Supernet, data: Data, n: int, epochs: int, seed: int
) -> list[tuple[nn.Module, int]]:
    """Networks spread over a searched front in fp32, fine-tuned, with the sides of their inputs."""
    space = supernet.space
    costs = costs_of(space, ["fp32"], 60.0, seed)
    problem = Problem(
        space=DeploymentSpace(space, ("fp32",)),
        costs=costs,
        shipping=(ShippingModel(),),
        structure=StructureModel(space),
        limit_ms=float(costs[0].latency_ms(space.largest()[None])[0]),
        limit_probability=0.5,
    )
    found = searched(problem, supernet, data, sampled(supernet, data, 48, seed), 40, seed)
    chosen = spread_over_front(found.accuracy, costs[0].latency_ms(found.genotypes), n)
    made: list[tuple[nn.Module, int]] = []
    for number, row in enumerate(chosen):
        genotype = found.genotypes[row]
        size = input_size(space, genotype)
        network = supernet.subnet(genotype)
        network.genotype = genotype
        say(f"fine-tuning network {number + 1}: {found.accuracy[row]:.3f} by shared weights")
        recipe = TrainRecipe(epochs=epochs, learning_rate=0.05, flip=True)
        train(network, data, size, recipe, seed=seed)
        recalibrate(network, data, size)
        made.append((network.eval(), size))
    return made


def passes(
    case: str, network: nn.Module, size: int, data: Data, epochs: int, seed: int
) -> list[Row]:
    """Every recipe on one network: accuracy, sizes, latency, verdict, by runtime."""
    tune = {"finetune": {"epochs": epochs, "batch": 64, "flip": True}}
    qat = {"qat": {"epochs": max(1, epochs // 2), "batch": 64, "flip": True}}
    channels = {"channels": {"macs": 0.5}}
    recipes: dict[str, tuple[list[Any], Sequence[str]]] = {
        BASE: ([], FLOATS),
        "fp32, trained on": ([tune], (PLAIN,)),
        "int8": ([], INT8),
        "int8, trained on": ([tune], INT8[:2]),
        "qat": ([qat], INT8),
        "mixed int8": (["mixed_int8"], (PLAIN,)),
        "dynamic int8": (["dynamic_int8"], (PLAIN,)),
        "channels": ([channels, tune], (PLAIN, "openvino bf16")),
        "channels, qat": ([channels, tune, qat], INT8[:2]),
        "svd": ([{"svd": {"parameters": 0.45}}, tune], (PLAIN,)),
        "magnitude 50 %": ([{"magnitude": {"sparsity": 0.5}}, tune], (PLAIN,)),
        "2 of 4": ([{"n_of_m": {"n": 2, "m": 4}}, tune], (PLAIN,)),
        "32 clusters": ([{"cluster": {"clusters": 32}}], (PLAIN,)),
    }
    return rows_of(case, network, size, data, recipes, seed)


def tensors(data: Data, epochs: int, more: int, seed: int) -> list[Row]:
    """Tucker and CP on ResNet-8."""
    say("training ResNet-8")
    network = reference("resnet8", channels=3, size=32, classes=10, seed=seed)
    train(network, data, 32, TrainRecipe(epochs=epochs, flip=True), seed=seed)
    recalibrate(network, data, 32)
    tune = {"finetune": {"epochs": more, "batch": 64, "flip": True}}
    recipes: dict[str, tuple[list[Any], Sequence[str]]] = {
        BASE: ([], (PLAIN,)),
        "fp32, trained on": ([tune], (PLAIN,)),
        "tucker": ([{"tucker": {"parameters": 0.45}}, tune], (PLAIN,)),
        "cp": ([{"cp": {"parameters": 0.45}}, tune], (PLAIN,)),
        "channels": ([{"channels": {"macs": 0.5}}, tune], (PLAIN,)),
    }
    return rows_of("ResNet-8", network, 32, data, recipes, seed)


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
    """Timings; what was not stable is measured again, beside the fp32 file, up to ten times."""
    timings = measure(ran, PROTOCOL, seed=seed)
    plain = f"{BASE}/{PLAIN}"
    for attempt in range(1, ATTEMPTS):
        restless = {name: ran[name] for name, one in timings.items() if not one.stable}
        if not restless:
            break
        found = measure({**restless, plain: ran[plain]}, PROTOCOL, seed=seed + attempt)
        timings |= {name: one for name, one in found.items() if name in restless}
    return timings


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
    made = apply(Recipe.of(steps), network, context, folder, channels=3)
    told = report_of(name, {}, made.network, context)
    found = Variant(made.network, told.parameters, told.macs)
    export_program(made.network, folder / "m.pt2", channels=3, size=size)
    np.savez(folder / "calibration.npz", images=calibration_images(context))
    images = data.prepared(data.test.images, size).contiguous()
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
        compiler: Compiler = load(COMPILERS, target.runtime)()
        try:
            path = compiler.compile(source, target, folder / one.replace(" ", "-")).path
            answers = logits_of(path, target, folder / "test.npz", folder / "logits.npz")
        except NasError as error:
            say(f"{name}, {one}: {error}")
            continue
        precision = "int8" if "int8" in name or "int8" in one else target.precision
        found.files[one] = path
        found.accuracy[one] = float((answers.argmax(1) == data.test.labels.numpy()).mean())
        found.same[one] = parity_of(answers, logits, precision)
    return found


def _judged(
    case: str, recipe: str, made: dict[str, Variant], timings: dict[str, Timing], n: int
) -> list[Row]:
    base = made[BASE]
    rows = []

    def add(method: str, metric: str, value: float, of: int = 1) -> None:
        rows.append(Row("compression", case, method, metric, of, float(value)))

    one = made[recipe]
    add(recipe, "parameters", one.parameters)
    add(recipe, "macs", one.macs)

    def found_of(variant: Variant, name: str, told: str) -> Found:
        timing = timings[f"{name}/{told}"]
        size = variant.files[told].stat().st_size
        return Found(variant.accuracy[told], timing.p50_ms, timing.stable, size)

    for told, path in one.files.items():
        method = f"{recipe}: {told}"
        ours = found_of(one, recipe, told)
        plain = PLAIN if f"{told.split()[0]} fp32" not in base.files else f"{told.split()[0]} fp32"
        theirs = found_of(base, BASE, plain)
        published, why = decide(ours, theirs, one.same[told], MAX_LOSS)
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
            add(method, "published", published)
            if not published:
                say(f"{case}, {method}: refused: {why}")
    return rows


def distillation(
    supernet: Supernet,
    networks: list[tuple[nn.Module, int]],
    data: Data,
    epochs: int,
    seed: int,
) -> list[Row]:
    """The smallest network from scratch, by labels alone and with teachers; equal epochs."""
    (student, size), (teacher, teacher_size) = networks[0], networks[-1]
    context = PassContext(data, teacher_size, seed=seed)
    training = {"epochs": epochs, "batch": 64, "learning_rate": 0.1, "flip": True}
    methods: dict[str, Any] = {
        "labels alone": {"finetune": training},
        "teacher": {"distill": training},
        "teacher, cached answers": {"distill": {**training, "answers": "cached"}},
        "ensemble of 3": {"distill_ensemble": {**training, "members": 3}},
        "teacher's features": {"distill_features": training},
    }
    n = len(data.train)
    seen = {"labels alone": 0, "teacher, cached answers": n, "ensemble of 3": 3 * n * epochs}
    rows = []
    for name, step in methods.items():
        say(f"distillation: {name}")
        fresh = build(supernet.space, student.genotype, seed=seed)  # type: ignore[arg-type]
        given = PassContext(data, size, seed=seed)
        if name != "labels alone":
            given = replace(given, teacher=answering(teacher, context), teacher_network=teacher)
        (only,) = Recipe.of([step]).steps
        taught = apply_torch(None, apply_torch(only, fresh, given), given)
        right = accuracy(taught, data, data.test, size)
        rows.append(Row("compression", "distillation", name, "accuracy", len(data.test), right))
        images = seen.get(name, n * epochs)
        rows.append(Row("compression", "distillation", name, "teacher_images", 1, float(images)))
        say(f"distillation: {name}: {right:.4f}")
    right = accuracy(teacher, data, data.test, teacher_size)
    rows.append(Row("compression", "distillation", "the teacher", "accuracy", 1, right))
    return rows


def target_of(told: str) -> Target:
    """The target of `runtime precision` on this machine."""
    runtime, _, precision = told.partition(" ")
    return Target("this-machine", runtime, "", precision)


def say(text: str) -> None:
    """Tell how far it is, beside the table."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
