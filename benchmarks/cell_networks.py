"""NAS-Bench-201 networks of a front by published accuracies and this machine's latencies."""

from __future__ import annotations

import numpy as np
from torch import nn

from benchmarks import nb201
from benchmarks.compressed_files import say
from benchmarks.searched import Evaluated, fp32_problem, searched, spread_over_front
from nas_service.learning.base import Data
from nas_service.networks.build import build
from nas_service.search.accuracy import TabularEvaluator
from nas_service.settings import Settings
from nas_service.training.loop import TrainRecipe, recalibrate, score, train

N_START, N_QUERIES = 20, 60


def cell_networks(
    data: Data, n: int, epochs: int, max_macs: float, seed: int
) -> list[tuple[nn.Module, int]]:
    """Networks spread over a searched front of at most so many MACs, trained from scratch here.

    Raises:
        InvalidSpec: the tables are not there.
    """
    known = nb201.cells(Settings().bench_data)
    space = nb201.space()
    problem = fp32_problem(space, {"macs": max_macs}, seed=seed)
    evaluator = TabularEvaluator(space, known.genotypes, known.accuracy("cifar10"))
    drawn = np.random.default_rng([seed, 3]).permutation(len(known.genotypes))[:N_START]
    start = Evaluated(known.genotypes[drawn], known.accuracy("cifar10")[drawn])
    found = searched(problem, evaluator, start, N_QUERIES, seed)
    kept = problem.feasible(problem.space.in_every_deployment(found.genotypes))
    rows, right = found.genotypes[kept], found.accuracy[kept]
    latency_ms = problem.costs[0].latency_ms(rows)
    made: list[tuple[nn.Module, int]] = []
    for number, row in enumerate(spread_over_front(right, latency_ms, n)):
        network = build(space, rows[row], seed=seed)
        network.genotype = rows[row]
        macs = problem.structure(rows[[row]]).macs[0] / 1e6
        say(f"training cell {number + 1}: {macs:.1f} MMACs, published accuracy {right[row]:.3f}")
        train(network, data, 32, TrainRecipe(epochs=epochs, flip=True), seed=seed)
        recalibrate(network, data, 32)
        network.eval()
        say(f"cell {number + 1}: {score(network, data, data.test, 32):.3f} here")
        made.append((network, 32))
    return made
