"""Deployments searched with the architecture, against architecture first and compression after.

One supernet of real images, one set of tables of this machine, one model of what each deployment
does to accuracy, learned on probes. Each way queries as many subnets. `sequential` searches
architectures in fp32 under the limit and then gives each its best deployments; `sequential without
a limit` keeps the limit for the end. Hypervolume: what the candidates that keep the limit dominate
in the plane (latency, accuracy as shipped), from (the limit, the accuracy that nine in ten random
candidates exceed), in units of the joint search's first seed.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.images import images as load_images
from benchmarks.rows import Row, parser, report
from benchmarks.searched import Evaluated, costs_of, sampled, searched, supernet_of
from lookup_tables.target import Deployment
from nas_service.compression.base import PassContext
from nas_service.compression.searched import graphs_of
from nas_service.compression.ship import ship
from nas_service.learning.base import Data
from nas_service.networks.supernet import Supernet
from nas_service.search.cost import StructureModel
from nas_service.search.delivery_gap import DeliveryGap, fit_delivery_gap
from nas_service.search.evaluate import Problem
from nas_service.search.pareto import hypervolume
from nas_service.search.spec import FP32_AND_INT8
from nas_service.space.base import input_size
from nas_service.space.deployment import DeploymentSpace
from nas_service.training.loop import recalibrate
from nas_service.worker.evaluators import SupernetEvaluator, validation_part
from nas_service.worker.tasks.supernet import judged_as_shipped

DEPLOYMENTS = ("fp32", "int8", "int8+qat", "openvino:bf16", "openvino:int8", "openvino:int8+qat")
N_START = 32


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("joint", __doc__ or "")
    options.add_argument("--data", type=Path, help="data set; default: CIFAR-10 of NAS_BENCH_DATA")
    options.add_argument("--train-images", type=int, default=10_000)
    options.add_argument("--epochs", type=int, default=6, help="of the supernet")
    options.add_argument("--finetune-epochs", type=int, default=3)
    options.add_argument("--probes", type=int, default=5)
    options.add_argument("--queries", type=int, default=40)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--limit-ms", type=float, help="default: median of fp32 in the space")
    options.add_argument("--profile-budget-s", type=float, default=150.0)
    options.add_argument("--supernet", type=Path, help="weights: read, or trained and written")
    given = options.parse_args(arguments)
    data = load_images(given.data, given.train_images)
    supernet = supernet_of(data, given.epochs, 64, given.seed, given.supernet)
    space = supernet.space
    tables = dict.fromkeys(Deployment.parse(one).table for one in DEPLOYMENTS)
    priced = dict(
        zip(tables, costs_of(space, list(tables), given.profile_budget_s, given.seed), strict=True)
    )
    start = sampled(supernet, data, N_START, given.seed)
    shipping = learned(supernet, data, start, given.probes, given.finetune_epochs, given.seed)
    limit = given.limit_ms or float(np.median(priced["fp32"].latency_ms(start.genotypes)))
    joint = Problem(
        space=DeploymentSpace(space, tuple(map(Deployment.parse, DEPLOYMENTS))),
        costs=tuple(priced[Deployment.parse(one).table] for one in DEPLOYMENTS),
        shipping=tuple(shipping[Deployment.parse(one).graph] for one in DEPLOYMENTS),
        structure=StructureModel(space),
        limit_ms=limit,
        limit_probability=0.5,
    )
    alone = replace(
        joint,
        space=DeploymentSpace(space, FP32_AND_INT8[:1]),
        costs=joint.costs[:1],
        shipping=joint.shipping[:1],
    )
    free = replace(alone, limit_ms=float(alone.costs[0].latency_ms(space.largest()[None])[0]))
    ways = {
        "joint": joint,
        "sequential": alone,
        "sequential without a limit": free,
    }
    evaluator = SupernetEvaluator(supernet, data)
    floor = float(np.quantile(_shipped(joint, start)[1], 0.1))
    areas: dict[str, list[float]] = {name: [] for name in (*ways, "random")}
    for seed in range(given.seed, given.seed + given.seeds):
        own = sampled(supernet, data, N_START, given.seed)
        for name, problem in ways.items():
            print(f"{name}, seed {seed}", file=sys.stderr)
            found = searched(problem, evaluator, own, given.queries, seed)
            areas[name].append(area(joint, found, floor))
        more = sampled(supernet, data, given.queries + 2, 1000 + seed)
        both = Evaluated(
            np.concatenate([own.genotypes, more.genotypes[2:]]),
            np.concatenate([own.accuracy, more.accuracy[2:]]),
        )
        areas["random"].append(area(joint, both, floor))
    case = f"mbconv, limit {limit:.3g} ms, {len(data.train)} images"
    unit = areas["joint"][0]
    rows = []
    for name, values in areas.items():
        relative = np.array(values) / unit
        std = float(relative.std(ddof=1)) if len(relative) > 1 else None
        rows.append(
            Row(
                *("joint", case, name, "hypervolume", given.queries),
                value=float(relative.mean()),
                std=std,
                seeds=len(relative),
            )
        )
    for name in DEPLOYMENTS:
        model = shipping[Deployment.parse(name).graph]
        rows.append(
            Row("joint", case, name, "mean_probe_accuracy", given.probes, model.shipped_mean)
        )
    report(rows, given.out)
    return 0


def learned(
    supernet: Supernet, data: Data, start: Evaluated, n_probes: int, epochs: int, seed: int
) -> dict[str, DeliveryGap]:
    """What each deployment's graph does to accuracy, from probes spread over cost."""
    macs = StructureModel(supernet.space)(start.genotypes).macs
    order = np.argsort(macs, kind="stable")
    chosen = order[np.rint(np.linspace(1, len(order) - 2, n_probes)).astype(int)]
    wanted = graphs_of(map(Deployment.parse, ["int8", *DEPLOYMENTS]))
    options = {"epochs": epochs, "batch": 64, "learning_rate": 0.03, "flip": True}
    part, metric = validation_part(data), data.task.metric()
    shipped: dict[str, list[float]] = {graph: [] for graph in wanted}
    with tempfile.TemporaryDirectory() as folder:
        for number, row in enumerate(chosen):
            print(f"probe {number + 1} of {n_probes}", file=sys.stderr)
            size = input_size(supernet.space, start.genotypes[row])
            network = supernet.subnet(start.genotypes[row])
            recalibrate(network, data, size)
            context = PassContext(data, size, seed=seed)
            for made in ship(wanted, network, context, Path(folder), options):
                for graph, path in made.graphs.items():
                    shipped[graph].append(metric.value(judged_as_shipped(path, data, part, size)))
    return {
        graph: fit_delivery_gap(start.accuracy[chosen], macs[chosen], np.array(values))
        for graph, values in shipped.items()
    }


def _shipped(problem: Problem, found: Evaluated) -> tuple[np.ndarray, np.ndarray]:
    """Every deployment of what was evaluated: latency and accuracy as shipped."""
    every = problem.space.in_every_deployment(found.genotypes)
    accuracy = np.repeat(found.accuracy, len(problem.space.deployments))
    return problem.latency_ms(every), problem.delivered_accuracy(accuracy, every)


def area(problem: Problem, found: Evaluated, floor: float) -> float:
    """What the candidates that keep the limit dominate."""
    latency, accuracy = _shipped(problem, found)
    keeps = (latency <= problem.limit_ms) & (accuracy >= floor)
    losses = np.column_stack([1.0 - accuracy[keeps], latency[keeps]])
    return float(hypervolume(losses, np.array([1.0 - floor, problem.limit_ms])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
