"""What each compression pass gives on networks of a searched front, and on ResNet-8.

A supernet is trained on CIFAR-10 and searched; three networks of its front are fine-tuned and go
through every recipe. Their files are made for every runtime here, compared with the network,
tested on test images by their own runtime, and timed beside the network's fp32 file for ONNX
Runtime. A file that the gate refuses is told with the reason. Networks of a front of NAS-Bench-201,
made of plain 3x3 convolutions, are trained from scratch and quantised for every runtime. Tucker and
CP, which need convolutions that are neither 1x1 nor depthwise, are tried on ResNet-8; distillation
on the smallest of the supernet's three, from scratch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.cell_networks import cell_networks
from benchmarks.compressed_files import BASE, PLAIN, rows_of, say
from benchmarks.images import images as load_images
from benchmarks.rows import Row, keep, parser, report
from benchmarks.searched import fp32_problem, sampled, searched, spread_over_front, supernet_of
from nas_service.compression.apply import apply_torch
from nas_service.compression.base import PassContext
from nas_service.compression.distillation import answering
from nas_service.compression.recipe import Recipe
from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data
from nas_service.networks.build import build
from nas_service.networks.reference import reference
from nas_service.networks.supernet import Supernet
from nas_service.space.base import input_size
from nas_service.training.loop import TrainRecipe, recalibrate, score, train
from nas_service.worker.evaluators import SupernetEvaluator

INT8 = tuple(f"{name} int8" for name in ("onnxruntime", "openvino", "litert", "executorch"))
Recipes = dict[str, tuple[list[Any], Sequence[str]]]
"""Steps and files to make, by the name of a row."""
PARTS = ("passes", "cells", "tensors", "distillation")
FLOATS = (PLAIN, "openvino fp32", "openvino bf16", "executorch fp32")


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
    options.add_argument("--cell-epochs", type=int, default=12, help="of NAS-Bench-201 networks")
    options.add_argument("--cell-macs", type=float, default=3e7, help="the largest of them")
    options.add_argument("--part", action="append", choices=PARTS)
    options.add_argument(
        "--recipe", action="append", help="of the part passes, as its table says; default: all"
    )
    given = options.parse_args(arguments)
    parts = given.part or PARTS
    recipes = passes(given.pass_epochs, given.recipe)
    data = load_images(given.data, given.train_images, given.test_images)
    rows: list[Row] = []
    if "cells" in parts:
        cells = cell_networks(data, given.networks, given.cell_epochs, given.cell_macs, given.seed)
        for number, (network, size) in enumerate(cells):
            case = f"cell {number + 1}"
            rows += quantised(case, network, size, data, given.pass_epochs, given.seed)
            keep(rows, given.out)
    if "tensors" in parts:
        rows += tensors(data, given.scratch_epochs, given.pass_epochs, given.seed)
    if "passes" in parts or "distillation" in parts:
        supernet = supernet_of(data, given.epochs, 64, given.seed, given.supernet)
        networks = front_networks(supernet, data, given.networks, given.finetune_epochs, given.seed)
        if "passes" in parts:
            for number, (network, size) in enumerate(networks):
                case = f"front network {number + 1}"
                rows += rows_of(case, network, size, data, recipes, given.seed)
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
    problem = fp32_problem(space, seed=seed)
    start = sampled(supernet, data, 48, seed)
    found = searched(problem, SupernetEvaluator(supernet, data), start, 40, seed)
    chosen = spread_over_front(found.accuracy, problem.costs[0].latency_ms(found.genotypes), n)
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


def passes(epochs: int, chosen: Sequence[str] | None = None) -> Recipes:
    """Every recipe, or those `chosen` beside the network as it is.

    Raises:
        InvalidSpec: there is no such recipe.
    """
    tune = {"finetune": {"epochs": epochs, "batch": 64, "flip": True}}
    qat = {"qat": {"epochs": max(1, epochs // 2), "batch": 64, "flip": True}}
    shared = {"clusters": 32, "epochs": max(1, epochs // 2), "batch": 64, "flip": True}
    # what lost half its channels has most to learn: from the network that it was
    taught = {"distill": {"epochs": 2 * epochs, "batch": 64, "flip": True, "learning_rate": 0.05}}
    channels = {"channels": {"macs": 0.5}}
    recipes: Recipes = {
        BASE: ([], FLOATS),
        "fp32, trained on": ([tune], (PLAIN,)),
        "int8": ([], INT8),
        "int8, trained on": ([tune], INT8[:2]),
        "qat": ([qat], INT8),
        "mixed int8": (["mixed_int8"], (PLAIN,)),
        "dynamic int8": (["dynamic_int8"], (PLAIN,)),
        "channels": ([channels, taught], (PLAIN, "openvino bf16")),
        "channels, qat": ([channels, taught, qat], INT8[:2]),
        "svd": ([{"svd": {"parameters": 0.45}}, tune], (PLAIN,)),
        "magnitude 50 %": ([{"magnitude": {"sparsity": 0.5}}, tune], (PLAIN,)),
        "2 of 4": ([{"n_of_m": {"n": 2, "m": 4}}, tune], (PLAIN,)),
        "32 clusters": ([{"cluster": shared}], (PLAIN,)),
    }
    if unknown := sorted(set(chosen or ()) - set(recipes)):
        raise InvalidSpec(f"no recipe {unknown[0]!r}; known: {'; '.join(recipes)}")
    wanted = {BASE, *(chosen or recipes)}
    return {name: recipe for name, recipe in recipes.items() if name in wanted}


def quantised(
    case: str, network: nn.Module, size: int, data: Data, epochs: int, seed: int
) -> list[Row]:
    """fp32, int8 and trained for int8 on every runtime, and with fewer channels."""
    qat = {"qat": {"epochs": max(1, epochs // 2), "batch": 64, "flip": True}}
    taught = {"distill": {"epochs": epochs, "batch": 64, "flip": True, "learning_rate": 0.05}}
    recipes: Recipes = {
        BASE: ([], FLOATS),
        "int8": ([], INT8),
        "qat": ([qat], INT8),
        "channels, int8": ([{"channels": {"macs": 0.7}}, taught], INT8),
    }
    return rows_of(case, network, size, data, recipes, seed)


def tensors(data: Data, epochs: int, more: int, seed: int) -> list[Row]:
    """Tucker and CP on ResNet-8."""
    say("training ResNet-8")
    network = reference("resnet8", channels=3, size=32, classes=10, seed=seed)
    train(network, data, 32, TrainRecipe(epochs=epochs, flip=True), seed=seed)
    recalibrate(network, data, 32)
    tune = {"finetune": {"epochs": more, "batch": 64, "flip": True}}
    recipes: Recipes = {
        BASE: ([], (PLAIN,)),
        "fp32, trained on": ([tune], (PLAIN,)),
        "tucker": ([{"tucker": {"parameters": 0.45}}, tune], (PLAIN,)),
        "cp": ([{"cp": {"parameters": 0.45}}, tune], (PLAIN,)),
        "channels": ([{"channels": {"macs": 0.5}}, tune], (PLAIN,)),
    }
    return rows_of("ResNet-8", network, 32, data, recipes, seed)


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
    seen = {"labels alone": 0, "teacher, cached answers": 2 * n, "ensemble of 3": 3 * n * epochs}
    rows = []
    for name, step in methods.items():
        say(f"distillation: {name}")
        fresh = build(supernet.space, student.genotype, seed=seed)  # type: ignore[arg-type]
        given = PassContext(data, size, seed=seed)
        if name != "labels alone":
            given = replace(given, teacher=answering(teacher, context), teacher_network=teacher)
        (only,) = Recipe.of([step]).steps
        taught = apply_torch(None, apply_torch(only, fresh, given), given)
        right = score(taught, data, data.test, size)
        rows.append(Row("compression", "distillation", name, "accuracy", len(data.test), right))
        images = seen.get(name, n * epochs)
        rows.append(Row("compression", "distillation", name, "teacher_images", 1, float(images)))
        say(f"distillation: {name}: {right:.4f}")
    right = score(teacher, data, data.test, teacher_size)
    rows.append(Row("compression", "distillation", "the teacher", "accuracy", 1, right))
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
