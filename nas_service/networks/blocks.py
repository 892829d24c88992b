"""One torch module a kind of block, made from the block's sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lookup_tables.blocks import Block
from lookup_tables.graphs import Array


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
        scale, shift = _scale_and_shift(self.norm)
        weight = self.conv.weight * scale[:, None, None, None]
        return _array(weight), _array(shift)


class Conv(nn.Module):
    """Kinds `conv`, `conv_relu` and `relu_conv`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        self.conv = ConvNorm(block.in_channels, block.out_channels, block.kernel, block.stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.block.kind == "relu_conv":
            x = torch.relu(x)
        y: Tensor = self.conv(x)
        return torch.relu(y) if self.block.kind == "conv_relu" else y

    def weights(self) -> dict[str, Array]:
        """Weights by the names of `lookup_tables.graphs`."""
        return _named("conv", self.conv)


class MbConv(nn.Module):
    """Kind `mbconv`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        mid = block.mid_channels
        self.expand = ConvNorm(block.in_channels, mid) if mid != block.in_channels else None
        self.depthwise = ConvNorm(mid, mid, block.kernel, block.stride, groups=mid)
        self.squeeze = nn.Conv2d(mid, block.se_channels, 1) if block.se_channels else None
        self.excite = nn.Conv2d(block.se_channels, mid, 1) if block.se_channels else None
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.project = ConvNorm(mid, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else torch.relu(self.expand(x))
        y = torch.relu(self.depthwise(y))
        if self.squeeze is not None and self.excite is not None:
            y = y * torch.sigmoid(self.excite(torch.relu(self.squeeze(self.pool(y)))))
        y = self.project(y)
        return x + y if self.block.residual else y

    def weights(self) -> dict[str, Array]:
        """Weights by the names of `lookup_tables.graphs`."""
        found = {**_named("depthwise", self.depthwise), **_named("project", self.project)}
        if self.expand is not None:
            found |= _named("expand", self.expand)
        for name in ("squeeze", "excite"):
            layer = getattr(self, name)
            if layer is not None:
                found |= {
                    f"{name}.weight": _array(layer.weight),
                    f"{name}.bias": _array(layer.bias),
                }
        return found


class Head(nn.Module):
    """Kind `head`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        self.conv = ConvNorm(block.in_channels, block.mid_channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(block.mid_channels, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(torch.flatten(self.pool(torch.relu(self.conv(x))), 1))
        return y

    def weights(self) -> dict[str, Array]:
        """Weights by the names of `lookup_tables.graphs`."""
        return {**_named("conv", self.conv), **_linear(self.linear)}


class NormHead(nn.Module):
    """Kind `norm_head`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        self.norm = nn.BatchNorm2d(block.in_channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(block.in_channels, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(torch.flatten(self.pool(torch.relu(self.norm(x))), 1))
        return y

    def weights(self) -> dict[str, Array]:
        """Weights by the names of `lookup_tables.graphs`."""
        scale, shift = _scale_and_shift(self.norm)
        shape = (1, -1, 1, 1)
        return {
            "norm.scale": _array(scale.reshape(shape)),
            "norm.shift": _array(shift.reshape(shape)),
            **_linear(self.linear),
        }


class ResidualReduction(nn.Module):
    """Kind `residual_reduction`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        self.first = ConvNorm(block.in_channels, block.out_channels, 3, 2)
        self.second = ConvNorm(block.out_channels, block.out_channels, 3)
        self.pool = nn.AvgPool2d(2, 2)
        self.shortcut = nn.Conv2d(block.in_channels, block.out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(torch.relu(self.first(torch.relu(x))))
        shortcut: Tensor = self.shortcut(self.pool(x))
        return shortcut + y

    def weights(self) -> dict[str, Array]:
        """Weights by the names of `lookup_tables.graphs`."""
        shortcut = _array(self.shortcut.weight)
        return {
            **_named("first", self.first),
            **_named("second", self.second),
            "shortcut.weight": shortcut,
            "shortcut.bias": np.zeros(len(shortcut), dtype=np.float32),
        }


class AvgPool(nn.Module):
    """Kind `avg_pool`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(x)
        return y

    def weights(self) -> dict[str, Array]:
        """It has none."""
        return {}


class Add(nn.Module):
    """Kind `add`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block

    def forward(self, *xs: Tensor) -> Tensor:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    def weights(self) -> dict[str, Array]:
        """It has none."""
        return {}


BlockModule = Conv | MbConv | Head | NormHead | ResidualReduction | AvgPool | Add

_MODULES: dict[str, Callable[[Block], BlockModule]] = {
    "conv": Conv,
    "conv_relu": Conv,
    "relu_conv": Conv,
    "mbconv": MbConv,
    "head": Head,
    "norm_head": NormHead,
    "residual_reduction": ResidualReduction,
    "avg_pool": AvgPool,
    "add": Add,
}


def block_module(block: Block) -> BlockModule:
    """The torch module of a block, with fresh weights."""
    return _MODULES[block.kind](block)


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Factor and summand a channel that normalisation is in inference."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale, norm.bias - mean * scale


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)


def _named(name: str, layer: ConvNorm) -> dict[str, Array]:
    weight, bias = layer.folded()
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def _linear(layer: nn.Linear) -> dict[str, Array]:
    return {"linear.weight": _array(layer.weight), "linear.bias": _array(layer.bias)}
