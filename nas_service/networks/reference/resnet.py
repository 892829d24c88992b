"""ResNet-18 (He et al., 2016) and the small one of MLPerf Tiny (Banbury et al., 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_service.networks.reference.layers import head, rounded, stem_stride, unit


class _Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = unit(inputs, outputs, 3, stride)
        self.second = unit(outputs, outputs, 3, activation=None)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else unit(inputs, outputs, 1, stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet8(channels: int, size: int, classes: int, width: float) -> nn.Module:
    """Three blocks, for images of 32 pixels."""
    del size
    w = [rounded(c, width) for c in (16, 16, 32, 64)]
    blocks = [_Residual(w[i], w[i + 1], 1 if i == 0 else 2) for i in range(3)]
    return nn.Sequential(unit(channels, w[0]), *blocks, *head(w[3], classes))


def resnet18(channels: int, size: int, classes: int, width: float) -> nn.Module:
    """Eight blocks; on small images without the first two halvings."""
    now = rounded(64, width)
    layers: list[nn.Module] = [unit(channels, now, 3 if size < 96 else 7, stem_stride(size))]
    if size >= 96:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for number, out in enumerate((64, 128, 256, 512)):
        for again in range(2):
            stride = 2 if number and not again else 1
            layers.append(_Residual(now, rounded(out, width), stride))
            now = rounded(out, width)
    return nn.Sequential(*layers, *head(now, classes))
