"""MobileNets and EfficientNets.

MobileNetV1 (Howard et al., 2017), V2 (Sandler et al., 2018), V3 (Howard et al., 2019), EfficientNet
and its Lite form (Tan and Le, 2019; hard swish and gates left out).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nas_service.networks.reference.layers import Make, head, rounded, stem_stride, unit


def mobilenet_v1(channels: int, size: int, classes: int, width: float) -> nn.Module:
    """Depthwise convolutions, each with a 1x1 behind it."""
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    plan += [(1024, 2), (1024, 1)]
    now = rounded(32, width)
    layers: list[nn.Module] = [unit(channels, now, 3, stem_stride(size))]
    for out, stride in plan:
        layers.append(unit(now, now, 3, stride, groups=now))
        layers.append(unit(now, rounded(out, width), 1))
        now = rounded(out, width)
    return nn.Sequential(*layers, *head(now, classes))


class _Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.excite = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * torch.nn.functional.hardsigmoid(self.excite(scale))


class _Inverted(nn.Module):
    """Inverted bottleneck, with a gate where `gate` is not zero."""

    def __init__(
        self,
        inputs: int,
        mid: int,
        outputs: int,
        kernel: int,
        stride: int,
        activation: Callable[[], nn.Module],
        gate: int = 0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if mid != inputs:
            layers.append(unit(inputs, mid, 1, activation=activation))
        layers.append(unit(mid, mid, kernel, stride, groups=mid, activation=activation))
        if gate:
            layers.append(_Gate(mid, gate))
        layers.append(unit(mid, outputs, 1, activation=None))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def mobilenet_v2(channels: int, size: int, classes: int, width: float) -> nn.Module:
    """Inverted bottlenecks."""
    plan = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]
    plan += [(6, 160, 3, 2), (6, 320, 1, 1)]
    now = rounded(32, width)
    layers: list[nn.Module] = [unit(channels, now, 3, stem_stride(size), activation=nn.ReLU6)]
    for expand, out, repeats, stride in plan:
        for number in range(repeats):
            wide = rounded(out, width)
            step = stride if number == 0 else 1
            layers.append(_Inverted(now, now * expand, wide, 3, step, nn.ReLU6))
            now = wide
    last = rounded(1280, max(width, 1.0))
    return nn.Sequential(*layers, unit(now, last, 1, activation=nn.ReLU6), *head(last, classes))


V3_SMALL = (
    [(3, 16, 16, True, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 2), (3, 88, 24, False, nn.ReLU, 1)]
    + [(5, 96, 40, True, nn.Hardswish, 2)]
    + [(5, 240, 40, True, nn.Hardswish, 1)] * 2
    + [(5, 120, 48, True, nn.Hardswish, 1), (5, 144, 48, True, nn.Hardswish, 1)]
    + [(5, 288, 96, True, nn.Hardswish, 2)]
    + [(5, 576, 96, True, nn.Hardswish, 1)] * 2
)
V3_LARGE = (
    [(3, 16, 16, False, nn.ReLU, 1), (3, 64, 24, False, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 1)]
    + [(5, 72, 40, True, nn.ReLU, 2)]
    + [(5, 120, 40, True, nn.ReLU, 1)] * 2
    + [(3, 240, 80, False, nn.Hardswish, 2), (3, 200, 80, False, nn.Hardswish, 1)]
    + [(3, 184, 80, False, nn.Hardswish, 1)] * 2
    + [(3, 480, 112, True, nn.Hardswish, 1), (3, 672, 112, True, nn.Hardswish, 1)]
    + [(5, 672, 160, True, nn.Hardswish, 2)]
    + [(5, 960, 160, True, nn.Hardswish, 1)] * 2
)
_V3_LAYERS = Sequence[tuple[int, int, int, bool, Callable[[], nn.Module], int]]
"""Kernel, inner and outer channels, gate, activation, stride."""


def mobilenet_v3(plan: _V3_LAYERS, features: int, hidden: int) -> Make:
    """Inverted bottlenecks, some with gates; `features` and `hidden` size the last layers."""

    def make(channels: int, size: int, classes: int, width: float) -> nn.Module:
        now = rounded(16, width)
        layers: list[nn.Module] = [
            unit(channels, now, 3, stem_stride(size), activation=nn.Hardswish)
        ]
        for kernel, mid, out, gated, activation, stride in plan:
            wide = rounded(mid, width)
            gate = rounded(wide / 4, 1.0) if gated else 0
            layers.append(
                _Inverted(now, wide, rounded(out, width), kernel, stride, activation, gate)
            )
            now = rounded(out, width)
        last, inner = rounded(features, width), rounded(hidden, width)
        layers.append(unit(now, last, 1, activation=nn.Hardswish))
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, inner), nn.Hardswish()]
        return nn.Sequential(*layers, nn.Linear(inner, classes))

    return make


def efficientnet(lite: bool) -> Make:
    """B0, or the Lite form of it."""
    plan = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)]
    plan += [(6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]
    activation = nn.ReLU6 if lite else nn.SiLU

    def make(channels: int, size: int, classes: int, width: float) -> nn.Module:
        now = rounded(32, width)
        layers: list[nn.Module] = [unit(channels, now, 3, stem_stride(size), activation=activation)]
        for expand, out, repeats, stride, kernel in plan:
            for number in range(repeats):
                wide, step = rounded(out, width), stride if number == 0 else 1
                gate = 0 if lite else max(4, now // 4)
                layers.append(_Inverted(now, now * expand, wide, kernel, step, activation, gate))
                now = wide
        last = rounded(1280, width)
        return nn.Sequential(
            *layers, unit(now, last, 1, activation=activation), *head(last, classes)
        )

    return make
