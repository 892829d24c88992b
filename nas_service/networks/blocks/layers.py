"""Layers that blocks on feature maps are made of, whole and with their leading channels alone."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import array


class ConvNorm(nn.Module):
    """Convolution without bias, then batch normalisation."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y

    def folded(self) -> tuple[Array, Array]:
        """Weight and bias of the one convolution that this is in inference."""
        scale, shift = scale_and_shift(self.norm)
        weight = self.conv.weight * scale[:, None, None, None]
        return array(weight), array(shift)

    def cut(
        self, x: Tensor, outputs: int, kernel: int = 1, stride: int = 1, *, depthwise: bool = False
    ) -> Tensor:
        """Its leading `outputs` channels with the centre of its kernel, by batch statistics."""
        inputs = 1 if depthwise else x.shape[1]
        weight = leading(self.conv.weight, torch.Size((outputs, inputs, kernel, kernel)))
        groups = outputs if depthwise else 1
        x = functional.conv2d(x, weight, None, stride, kernel // 2, 1, groups)
        norm = self.norm
        return functional.batch_norm(
            x, None, None, norm.weight[:outputs], norm.bias[:outputs], training=True, eps=norm.eps
        )


def leading(weight: Tensor, like: Tensor | torch.Size) -> Tensor:
    """The leading channels and the centre of the kernel of a convolution's weight."""
    outputs, inputs, *kernel = like if isinstance(like, torch.Size) else like.shape
    cut = weight[:outputs, :inputs]
    for axis, taps in enumerate(kernel, start=2):
        cut = cut.narrow(axis, (weight.shape[axis] - taps) // 2, taps)
    return cut


def scale_and_shift(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Factor and summand a channel that normalisation is in inference."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale, norm.bias - mean * scale


def named(name: str, layer: ConvNorm) -> dict[str, Array]:
    """Folded weights by the names of a graph."""
    weight, bias = layer.folded()
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def plain(name: str, layer: nn.Conv2d | nn.Linear) -> dict[str, Array]:
    """Weights of a layer without normalisation by the names of a graph."""
    return {f"{name}.weight": array(layer.weight), f"{name}.bias": array(layer.bias)}  # type: ignore[arg-type]  # it has a bias
