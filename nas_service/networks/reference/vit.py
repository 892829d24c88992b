"""A small vision transformer (Dosovitskiy et al., 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Attention(nn.Module):
    """A transformer's layer, normalised first; written out so that every exporter takes it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        mixed = self.mixed(self.first(x)).reshape(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5
        attended = (torch.softmax(scores, dim=-1) @ value).transpose(1, 2).reshape(n, tokens, width)
        x = x + self.out(attended)
        fed: Tensor = x + self.outer(torch.relu(self.inner(self.second(x))))
        return fed


class Vit(nn.Module):
    """Patches of an eighth of the side, four layers, the mean of what comes out."""

    def __init__(self, channels: int, size: int, classes: int, width: float) -> None:
        super().__init__()
        wide = max(16, int(128 * width) // 16 * 16)
        patch = max(4, size // 8)
        self.patches = nn.Conv2d(channels, wide, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2, wide))
        self.layers = nn.Sequential(*(_Attention(wide, 4) for _ in range(4)))
        self.norm = nn.LayerNorm(wide)
        self.classifier = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        logits: Tensor = self.classifier(self.norm(self.layers(tokens)).mean(1))
        return logits
