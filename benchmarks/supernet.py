"""Samplers on a supernet of real images: what 40 evaluated subnets dominate, accuracy and MACs.

Share: the area in the plane (ln MACs, accuracy on validation images) against the point (MACs of
the largest network, the accuracy that nine in ten random subnets exceed), over that of all subnets
that any sampler met. A repeat is answered from memory and is no query.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import torch

from benchmarks import nb201
from benchmarks.rows import Row, parser, report
from nas_service.datasets import ingest
from nas_service.learning.image_classification import data as training_data
from nas_service.networks.supernet import Supernet
from nas_service.plugins import SPACES, load
from nas_service.search.cost import StructureModel
from nas_service.search.guided_sampler import GuidedSampler, distributions_of
from nas_service.search.sampling_problem import CostedSpace
from nas_service.settings import Settings
from nas_service.space.base import ImageShape, IntArray, SearchSpace
from nas_service.space.sampling import distinct
from nas_service.training.loop import TrainRecipe
from nas_service.training.sandwich import train_supernet
from nas_service.worker.evaluators import SupernetEvaluator
from predictors.ensemble import EnsemblePredictor

N_FLOOR = 20


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("supernet", __doc__ or "")
    options.add_argument("--data", type=Path, help="data set; default: CIFAR-10 of the bench data")
    options.add_argument("--queries", type=int, default=40)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--epochs", type=int, default=5, help="epochs of the supernet")
    options.add_argument("--max-train-images", type=int, default=5000)
    options.add_argument("--batch", type=int, default=64)
    given = options.parse_args(arguments)
    source = given.data or Settings().bench_data / "cifar10"
    if not source.exists():
        print(f"nas: {source} does not exist; give --data or set NAS_BENCH_DATA", file=sys.stderr)
        return 1
    torch.use_deterministic_algorithms(True)
    folder = Path("var/bench")
    folder.mkdir(parents=True, exist_ok=True)
    found = ingest.ingest(source)
    found.save(folder / "supernet.npz")
    data = training_data.load(folder / "supernet.npz", max_train=given.max_train_images)
    shape = ImageShape(found.images.shape[1], found.images.shape[3], len(found.classes))
    space: SearchSpace = load(SPACES, "mbconv")(shape)
    supernet = Supernet(space, seed=given.seed)
    started = time.monotonic()

    def on_step(step: int, steps: int, loss: float) -> None:
        if step % 50 == 0:
            left = (time.monotonic() - started) / max(step, 1) * (steps - step)
            text = f"supernet: {step} of {steps}, loss {loss:.3f}, {left:.0f} s left"
            print(text, file=sys.stderr)

    recipe = TrainRecipe(epochs=given.epochs, batch=given.batch, flip=True)
    train_supernet(supernet, data, recipe, seed=given.seed, on_step=on_step)
    evaluator = SupernetEvaluator(supernet, data)
    bench = Bench(space, lambda row: float(evaluator.evaluate(row, fidelity=1.0, seed=0)[0]))
    for one in distinct(space, N_FLOOR, np.random.default_rng([given.seed, 11])):
        bench.accuracy(one)
    floor = float(np.quantile(list(bench.known.values()), 0.1))
    orders = {}
    for name, make in SAMPLERS.items():
        for seed in range(given.seed, given.seed + given.seeds):
            print(f"{name}, seed {seed}", file=sys.stderr)
            orders[name, seed] = bench.run(make(bench, seed), given.queries)
    whole = bench.area(list(bench.known), floor)
    case = f"{source.name}, {len(data.train)} images, mbconv, accuracy and MACs"
    rows = []
    for name in SAMPLERS:
        for n in (given.queries // 2, given.queries):
            shares = [
                bench.area(order[:n], floor) / whole
                for (method, _), order in orders.items()
                if method == name
            ]
            std = float(np.std(shares, ddof=1)) if len(shares) > 1 else None
            value = float(np.mean(shares))
            rows.append(Row("supernet", case, name, "share", n, value, std, len(shares)))
    report(rows, given.out)
    return 0


class Bench:
    """Subnets with their accuracies, evaluated once each."""

    def __init__(self, space: SearchSpace, evaluate: Callable[[IntArray], float]) -> None:
        self.space = space
        self.known: dict[bytes, float] = {}
        self._evaluate = evaluate
        structure = StructureModel(space)
        self.task = CostedSpace(space, {"macs": lambda rows: structure(rows).macs})
        self._highest = float(np.log(structure(space.largest()[None]).macs[0]))

    def accuracy(self, genotype: IntArray) -> float:
        """Validation accuracy of a canonical genotype."""
        key = genotype.astype(np.int64).tobytes()
        if key not in self.known:
            self.known[key] = self._evaluate(genotype[None, :])
        return self.known[key]

    def run(self, sampler: optuna.samplers.BaseSampler, n: int) -> list[bytes]:
        """The first `n` different subnets that a sampler asks for."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        space = distributions_of(self.space.decisions)
        order: dict[bytes, None] = {}
        while len(order) < n:
            trial = study.ask(space)
            row = np.array([[trial.params[d.name] for d in self.space.decisions]], dtype=np.int64)
            row = self.space.canonical(row)
            order[row[0].tobytes()] = None
            macs = float(self.task.costs_of(row)[0, 0])
            study.tell(trial, [self.accuracy(row[0]), float(np.log(macs))])
        return list(order)

    def area(self, keys: list[bytes], floor: float) -> float:
        """What these subnets dominate."""
        rows = np.stack([np.frombuffer(key, dtype=np.int64) for key in keys])
        accuracy = np.array([self.known[key] for key in keys])
        cost = np.log(self.task.costs_of(rows)[:, 0])
        return nb201.dominated(cost, accuracy, self._highest, floor)


def _guided(bench: Bench, seed: int) -> optuna.samplers.BaseSampler:
    names = bench.space.feature_names
    return GuidedSampler(
        bench.task, lambda: EnsemblePredictor(seed=seed, names=names), seed=seed, batch=4
    )


SAMPLERS: dict[str, Callable[[Bench, int], optuna.samplers.BaseSampler]] = {
    "guided": _guided,
    "random": lambda _, seed: optuna.samplers.RandomSampler(seed=seed),
    "Optuna TPE": lambda _, seed: optuna.samplers.TPESampler(seed=seed),
    "Optuna NSGA-II, population 20": lambda _, seed: optuna.samplers.NSGAIISampler(
        population_size=20, seed=seed
    ),
}
