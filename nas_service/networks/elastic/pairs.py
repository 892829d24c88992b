"""Pairs of layers that stand for one, as near to it as its weights alone tell.

A dense convolution becomes a depthwise and a 1x1 convolution, a linear layer a product of two; both
by singular values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SEPARABLE, LOW_RANK = "separable", "low_rank"
_FEWEST = 16
"""Channels in and out below which a layer stays."""
_RANK_SHARE = 6
"""The smaller side of a linear layer over the rank that is left of it."""
_LARGE = 1024
"""The smaller side of a linear layer from which on only the largest singular values are found."""


def kind_for(layer: nn.Module) -> str | None:
    """What may stand for a layer of this form; None where nothing does."""
    if isinstance(layer, nn.ConvTranspose2d):
        return None
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        dense = layer.groups == 1 and min(layer.in_channels, layer.out_channels) >= _FEWEST
        return SEPARABLE if dense and min(layer.kernel_size) > 1 else None
    if isinstance(layer, nn.Linear):
        return LOW_RANK if min(layer.in_features, layer.out_features) >= 4 * _FEWEST else None
    return None


def share_left(layer: nn.Module) -> float:
    """Share of a layer's products that its pair has."""
    if isinstance(layer, nn.Linear):
        inputs, outputs = layer.in_features, layer.out_features
        return rank_of(layer) * (inputs + outputs) / (inputs * outputs)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    taps = layer.weight[0, 0].numel()
    return 1.0 / layer.out_channels + 1.0 / taps


def rank_of(layer: nn.Linear) -> int:
    """What is left of a linear layer's rank."""
    return max(8, min(layer.in_features, layer.out_features) // _RANK_SHARE // 8 * 8)


def pair(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The nearest pair to a layer, by its weights alone."""
    if isinstance(layer, nn.Linear):
        return _low_rank(layer)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    return _separable(layer)


def _separable(layer: nn.Conv1d | nn.Conv2d) -> tuple[nn.Module, nn.Module]:
    """Each input channel's kernels as one kernel times a number an output."""
    kind: Any = type(layer)
    depthwise = kind(
        layer.in_channels,
        layer.in_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.in_channels,
        bias=False,
        padding_mode=layer.padding_mode,
    )
    pointwise = kind(layer.in_channels, layer.out_channels, 1, bias=layer.bias is not None)
    with torch.no_grad():
        kernels = layer.weight.transpose(0, 1).flatten(2)  # (inputs, outputs, taps)
        outputs, strength, taps = torch.linalg.svd(kernels, full_matrices=False)
        root = strength[:, 0].sqrt()
        depthwise.weight.copy_((taps[:, 0] * root[:, None]).reshape(depthwise.weight.shape))
        weights = (outputs[:, :, 0] * root[:, None]).T
        pointwise.weight.copy_(weights.reshape(pointwise.weight.shape))
        if layer.bias is not None:
            pointwise.bias.copy_(layer.bias)
    return depthwise, pointwise


def _low_rank(layer: nn.Linear) -> tuple[nn.Module, nn.Module]:
    rank = rank_of(layer)
    down = nn.Linear(layer.in_features, rank, bias=False)
    up = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)
    with torch.no_grad():
        outputs, strength, inputs = _singular(layer.weight, rank)
        root = strength[:rank].sqrt()
        down.weight.copy_(inputs[:rank] * root[:, None])
        up.weight.copy_(outputs[:, :rank] * root)
        if layer.bias is not None:
            up.bias.copy_(layer.bias)
    return down, up


def _singular(weight: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """The largest singular values with their vectors, at least `rank` of them."""
    if min(weight.shape) < _LARGE:
        outputs, strength, inputs = torch.linalg.svd(weight, full_matrices=False)
        return outputs, strength, inputs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        outputs, strength, inputs = torch.svd_lowrank(weight, q=rank + 16, niter=4)
    return outputs, strength, inputs.T
