"""What the reference networks have in common."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

Make = Callable[[int, int, int, float], nn.Module]
"""Channels and side of images, classes, width."""


def rounded(channels: float, width: float) -> int:
    """Scaled to a multiple of eight, as the papers round."""
    return max(8, int(channels * width + 4) // 8 * 8)


def unit(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
    padding: int | tuple[int, int] | None = None,
) -> nn.Sequential:
    """Convolution, normalisation, activation."""
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


def head(features: int, classes: int) -> list[nn.Module]:
    """Mean over places, then the classifier."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


def stem_stride(size: int) -> int:
    """Half the side at once only where there is something to halve."""
    return 2 if size >= 96 else 1
