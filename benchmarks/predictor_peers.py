"""Predictors that ours are compared with on NAS-Bench-201; each fits rows and ranks the rest."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from nas_service.space.base import FloatArray, IntArray
from nas_service.space.expression import EDGES

Ranker = Callable[[FloatArray, FloatArray, FloatArray, int], FloatArray]
"""Training features, accuracies, features to rank and a seed, to scores."""

PUBLISHED = {
    "PINAT (AAAI 2023, as published)": {78: 0.549, 156: 0.631, 469: 0.706, 781: 0.761},
}
"""Kendall's tau on NAS-Bench-201 with CIFAR-10 labels, in its authors' protocol."""


def one_hot_ridge(x: FloatArray, y: FloatArray, other: FloatArray, seed: int) -> FloatArray:
    """Ridge on operators by edge, its penalty by leave-one-out."""
    from sklearn.linear_model import RidgeCV

    del seed
    return np.asarray(RidgeCV(np.logspace(-3, 3, 13)).fit(x, y).predict(other))


def random_forest(x: FloatArray, y: FloatArray, other: FloatArray, seed: int) -> FloatArray:
    """300 trees, scikit-learn's defaults else."""
    from sklearn.ensemble import RandomForestRegressor

    return np.asarray(RandomForestRegressor(300, random_state=seed).fit(x, y).predict(other))


def catboost(x: FloatArray, y: FloatArray, other: FloatArray, seed: int) -> FloatArray:
    """CatBoost with its defaults."""
    from catboost import CatBoostRegressor

    model = CatBoostRegressor(
        verbose=0, random_seed=seed, thread_count=1, allow_writing_files=False
    )
    return np.asarray(model.fit(x, y).predict(other))


class _Gcn(nn.Module):
    """Three graph convolutions over input, six operators, output and a global node."""

    width = 96

    def __init__(self) -> None:
        super().__init__()
        sizes = [8, self.width, self.width, self.width]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.last = nn.Linear(self.width, 1)

    def forward(self, nodes: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            nodes = torch.relu(links @ layer(nodes))
        found: torch.Tensor = self.last(nodes[:, -1]).squeeze(-1)
        return found


def graphs(genotypes: IntArray) -> tuple[torch.Tensor, torch.Tensor]:
    """Node kinds `(n, 9, 8)` and normalised links `(n, 9, 9)` of cells, operators as nodes."""
    n = len(genotypes)
    nodes = torch.zeros(n, 9, 8)
    nodes[:, 0, 5] = nodes[:, 7, 6] = nodes[:, 8, 7] = 1
    for edge in range(6):
        nodes[torch.arange(n), 1 + edge, torch.as_tensor(genotypes[:, edge])] = 1
    links = torch.eye(9).repeat(n, 1, 1)
    links[:, 8, :] = 1
    for edge, (source, target) in enumerate(EDGES):
        if source == 0:
            links[:, 1 + edge, 0] = 1
        if target == 3:
            links[:, 7, 1 + edge] = 1
        for later, (start, _) in enumerate(EDGES):
            if start == target:
                links[:, 1 + later, 1 + edge] = 1
    return nodes, links / links.sum(dim=2, keepdim=True)


def pairwise_gcn(
    genotypes: IntArray, y: FloatArray, other: IntArray, seed: int, steps: int = 300
) -> FloatArray:
    """Which of two cells is better, by a graph network (BRP-NAS, Dudziak et al., 2020).

    Smaller than the original (three layers of 96 instead of four of 600), trained on all pairs.
    """
    torch.manual_seed(seed)
    network = _Gcn()
    nodes, links = graphs(genotypes)
    target = torch.as_tensor(y, dtype=torch.float32)
    better = (target[:, None] > target[None, :]).float()
    different = target[:, None] != target[None, :]
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        scores = network(nodes, links)
        margin = scores[:, None] - scores[None, :]
        loss = nn.functional.binary_cross_entropy_with_logits(margin[different], better[different])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.inference_mode():
        return np.asarray(network(*graphs(other)).numpy(), dtype=np.float64)
