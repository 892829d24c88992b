"""Inception v3 (Szegedy et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_service.networks.reference.layers import head, rounded, stem_stride, unit


class _Branches(nn.Module):
    """Branches side by side, joined by channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _factorised(channels: int, inner: int, out: int, pooled: nn.Module) -> nn.Module:
    """Kernels of seven, as a row and a column one after the other."""
    one = nn.Sequential(
        unit(channels, inner, 1), unit(inner, inner, (1, 7)), unit(inner, out, (7, 1))
    )
    two = nn.Sequential(
        unit(channels, inner, 1),
        unit(inner, inner, (7, 1)),
        unit(inner, inner, (1, 7)),
        unit(inner, inner, (7, 1)),
        unit(inner, out, (1, 7)),
    )
    return _Branches(unit(channels, out, 1), one, two, pooled)


def _widest(channels: int, plain: int, wide: int, inner: int, pooled: nn.Module) -> nn.Module:
    """Kernels of three, as a row beside a column."""
    split = _Branches(unit(wide, wide, (1, 3)), unit(wide, wide, (3, 1)))
    deep = _Branches(unit(wide, wide, (1, 3)), unit(wide, wide, (3, 1)))
    return _Branches(
        unit(channels, plain, 1),
        nn.Sequential(unit(channels, wide, 1), split),
        nn.Sequential(unit(channels, inner, 1), unit(inner, wide), deep),
        pooled,
    )


def inception_v3(channels: int, size: int, classes: int, width: float) -> nn.Module:
    """Without its auxiliary head; on small images the stem keeps the side."""

    def w(count: int) -> int:
        return rounded(count, width)

    stem = stem_stride(size)
    layers: list[nn.Module] = [
        unit(channels, w(32), 3, stem),
        unit(w(32), w(32)),
        unit(w(32), w(64)),
        nn.MaxPool2d(3, stem, 1),
        unit(w(64), w(80), 1),
        unit(w(80), w(192)),
        nn.MaxPool2d(3, 2, 1),
    ]
    now = w(192)

    def pool(out: int) -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(3, 1, 1), unit(now, out, 1))

    def double(inner: int, out: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(unit(now, inner, 1), unit(inner, out), unit(out, out, 3, stride))

    for pooled in (w(32), w(64), w(64)):
        five = nn.Sequential(unit(now, w(48), 1), unit(w(48), w(64), 5))
        layers.append(_Branches(unit(now, w(64), 1), five, double(w(64), w(96)), pool(pooled)))
        now = w(64) + w(64) + w(96) + pooled
    layers.append(
        _Branches(unit(now, w(384), 3, 2), double(w(64), w(96), 2), nn.MaxPool2d(3, 2, 1))
    )
    now += w(384) + w(96)
    for inner in (w(128), w(160), w(160), w(192)):
        layers.append(_factorised(now, inner, w(192), pool(w(192))))
        now = 4 * w(192)
    small = nn.Sequential(unit(now, w(192), 1), unit(w(192), w(320), 3, 2))
    seven = nn.Sequential(
        unit(now, w(192), 1),
        unit(w(192), w(192), (1, 7)),
        unit(w(192), w(192), (7, 1)),
        unit(w(192), w(192), 3, 2),
    )
    layers.append(_Branches(small, seven, nn.MaxPool2d(3, 2, 1)))
    now += w(320) + w(192)
    for _ in range(2):
        layers.append(_widest(now, w(320), w(384), w(448), pool(w(192))))
        now = w(320) + 4 * w(384) + w(192)
    return nn.Sequential(*layers, *head(now, classes))
