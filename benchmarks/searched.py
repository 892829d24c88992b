"""Networks of a searched front on real images: a supernet, forty guided queries, fine-tuning."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import Deployment, Target
from nas_service.learning.base import Data
from nas_service.networks.supernet import Supernet
from nas_service.plugins import SAMPLERS, SPACES, load
from nas_service.search.accuracy import AccuracyEvaluator
from nas_service.search.cost import CostModel, StructureModel
from nas_service.search.delivery_gap import DeliveryGap
from nas_service.search.driver import Plan, run
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.pareto import non_dominated
from nas_service.search.spec import FP32_AND_INT8
from nas_service.space.base import FloatArray, ImageShape, IntArray, SearchSpace
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.genotypes import Genotypes
from nas_service.space.sampling import distinct
from nas_service.training.loop import TrainRecipe
from nas_service.training.sandwich import train_supernet
from nas_service.worker.evaluators import SupernetEvaluator
from nas_service.worker.tasks.profile_space import profile_space
from predictors.ensemble import EnsemblePredictor


def supernet_of(data: Data, epochs: int, batch: int, seed: int, stored: Path | None) -> Supernet:
    """A supernet of `mbconv`: read from `stored` where that exists, else trained and written."""
    image = data.train.inputs
    shape = ImageShape(image.shape[2], image.shape[1], int(data.train.targets.max()) + 1)
    space: SearchSpace = load(SPACES, "mbconv")(shape)
    supernet = Supernet(space, seed=seed)
    if stored is not None and stored.exists():
        supernet.load_state_dict(torch.load(stored, weights_only=True))
    else:
        started = time.monotonic()

        def on_step(step: int, steps: int, loss: float) -> None:
            if step % 20 == 0:
                left = (time.monotonic() - started) / max(step, 1) * (steps - step)
                print(
                    f"supernet: {step} of {steps}, loss {loss:.3f}, {left:.0f} s left",
                    file=sys.stderr,
                )

        recipe = TrainRecipe(epochs=epochs, batch=batch, flip=True)
        train_supernet(supernet, data, recipe, seed=seed, on_step=on_step)
        if stored is not None:
            partial = stored.with_name(stored.name + ".partial")
            torch.save(supernet.state_dict(), partial)
            partial.replace(stored)
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch stubs
    return supernet


def costs_of(
    space: SearchSpace, names: Sequence[str], budget_s: float, seed: int
) -> tuple[CostModel, ...]:
    """Cost models of deployments on this machine, profiled now."""
    there = runtime_versions()
    deployments = [Deployment.parse(name) for name in names]
    targets = [
        Target("this-machine", one.runtime, there[one.runtime], one.precision)
        for one in deployments
    ]

    def say(done: float, what: str) -> None:
        if int(100 * done) % 10 == 0:
            print(f"profiling: {what}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        made = profile_space(space, targets, budget_s, seed, Path(folder), say)
    return tuple(CostModel(space, table, table.calibration) for table, _ in made)


def fp32_problem(
    space: SearchSpace, limits: Mapping[str, float] | None = None, *, seed: int
) -> Problem:
    """Architectures in fp32, no slower than the largest, on this machine, profiled for a minute."""
    costs = costs_of(space, ["fp32"], 60.0, seed)
    return Problem(
        space=DeploymentSpace(space, FP32_AND_INT8[:1]),
        costs=costs,
        shipping=(DeliveryGap(),),
        structure=StructureModel(space),
        limit_ms=float(costs[0].latency_ms(space.largest()[None])[0]),
        limit_probability=0.5,
        limits=dict(limits or {}),
    )


@dataclass(frozen=True)
class Evaluated:
    """Architectures `(n, d)` with their accuracies under shared weights `(n,)`."""

    genotypes: IntArray
    accuracy: FloatArray


def sampled(supernet: Supernet, data: Data, n: int, seed: int) -> Evaluated:
    """Random subnets, the smallest and the largest among them."""
    space = supernet.space
    genotypes = distinct(space, n, np.random.default_rng([seed, 3]))
    genotypes[0], genotypes[1] = space.smallest(), space.largest()
    accuracy = SupernetEvaluator(supernet, data).evaluate(genotypes, fidelity=1.0, seed=seed)
    return Evaluated(genotypes, accuracy)


def spread_over_front(accuracy: FloatArray, latency_ms: FloatArray, n: int) -> IntArray:
    """Positions of `n` networks of the front, at even steps of their rank in latency."""
    front = np.flatnonzero(non_dominated(np.column_stack([1.0 - accuracy, latency_ms])))
    front = front[np.argsort(latency_ms[front], kind="stable")]
    steps = (np.arange(n) + 0.5) / n * len(front)
    return np.asarray(front[np.minimum(steps.astype(int), len(front) - 1)])


def searched(
    problem: Problem,
    evaluator: AccuracyEvaluator,
    start: Evaluated,
    n_queries: int,
    seed: int,
) -> Evaluated:
    """All that a guided search of `n_queries` has evaluated, what it started from included."""
    names = problem.space.architectures.feature_names

    def on_batch(batch: list[Evaluation]) -> bool:
        print(f"{batch[-1].number + 1} of {n_queries} queries", file=sys.stderr)
        return True

    plan = Plan(
        sampler=load(SAMPLERS, "guided"),
        make_predictor=lambda: EnsemblePredictor(seed=seed, names=names),
        evaluator=evaluator,
        n_queries=n_queries,
        batch=8,
        seed=seed,
        initial_architectures=start.genotypes,
        initial_accuracy=start.accuracy,
    )
    told = run(problem, plan, on_batch=on_batch)
    rows = Genotypes.of(one.genotype for one in told).architectures
    accuracy = np.array([one.accuracy for one in told])
    return Evaluated(
        np.concatenate([start.genotypes, rows]), np.concatenate([start.accuracy, accuracy])
    )
