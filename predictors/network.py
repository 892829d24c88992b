"""A small network that learns the order of architectures (RankNet, Burges et al., 2005)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from predictors.base import FloatArray
from predictors.regressor import Fitted, FoldedRegressor

WIDTH = 64
COPIES = 4
STEPS = 200
LEARNING_RATE = 0.01


class _Copies(nn.Module):
    """Networks of one hidden layer, all evaluated at once: `(n, f) -> (copies, n)`."""

    def __init__(self, n_features: int, generator: torch.Generator) -> None:
        super().__init__()

        def drawn(*shape: int) -> nn.Parameter:
            scale = (2.0 / shape[-2]) ** 0.5
            return nn.Parameter(scale * torch.randn(shape, generator=generator))

        self.first = drawn(COPIES, n_features, WIDTH)
        self.second = drawn(COPIES, WIDTH, WIDTH)
        self.last = drawn(COPIES, WIDTH, 1)
        self.offset = nn.Parameter(torch.zeros(COPIES, 1, WIDTH))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Scores."""
        hidden = torch.relu(rows @ self.first + self.offset)
        hidden = torch.relu(hidden @ self.second)
        found: torch.Tensor = (hidden @ self.last).squeeze(-1)
        return found


class _Ranked(Fitted):
    def __init__(self, copies: _Copies) -> None:
        self._copies = copies

    @torch.no_grad()
    def __call__(self, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
        found = self._copies(torch.as_tensor(scaled, dtype=torch.float32)).numpy()
        return (
            np.asarray(found.mean(axis=0), dtype=np.float64),
            np.asarray(found.std(axis=0), dtype=np.float64),
        )


class NetworkPredictor(FoldedRegressor):
    """Four networks vote; half of the loss is about pairs in the right order, half about scores."""

    def train(self, features: FloatArray, scores: FloatArray, noise: FloatArray | None) -> Fitted:
        """See `FoldedRegressor.train`."""
        generator = torch.Generator().manual_seed(self._seed)
        rows = torch.as_tensor(features, dtype=torch.float32)
        target = torch.as_tensor(scores, dtype=torch.float32)
        weight = torch.ones(len(target))
        if noise is not None:
            precision = torch.as_tensor(1.0 / np.maximum(noise, 1e-4) ** 2, dtype=torch.float32)
            weight = precision / precision.mean()
        copies = _Copies(features.shape[1], generator)
        optimiser = torch.optim.AdamW(copies.parameters(), LEARNING_RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        size = min(len(target), 128)
        for _ in range(STEPS):
            batch = torch.randperm(len(target), generator=generator)[:size]
            found = copies(rows[batch])
            wanted = target[batch]
            better = (wanted[:, None] - wanted[None, :]).sign()
            margin = found[:, :, None] - found[:, None, :]
            pairs = nn.functional.softplus(-4.0 * better * margin)[:, better != 0]
            order = pairs.mean() if pairs.numel() else torch.zeros(())
            loss = order + (weight[batch] * (found - wanted) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        return _Ranked(copies)
