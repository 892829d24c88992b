"""Layers with weights of an exported program, as modules.

Each maker takes an operator's arguments, the weights among them as tensors and other tensors as
nothing, and gives the module that computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nas_service.errors import InvalidData

ATEN = torch.ops.aten
Maker = Callable[..., nn.Module]


def not_elastic(why: str) -> InvalidData:
    """The error of a model that cannot be made elastic."""
    return InvalidData(f"the model cannot be made elastic: {why}", field="model")


def _hold(layer: nn.Module, weight: Tensor | None, bias: Tensor | None) -> None:
    """Give a layer copies of these weights."""
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            layer.register_parameter(name, nn.Parameter(value.detach().clone()))


def _convolution(dimensions: int) -> Maker:
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]

    def made(
        _: Any,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> nn.Module:
        layer: nn.Module = kind(
            weight.shape[1] * groups,
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=_sides(stride, dimensions),
            padding=padding if isinstance(padding, str) else _sides(padding, dimensions),
            dilation=_sides(dilation, dimensions),
            groups=groups,
            bias=bias is not None,
            device="meta",
        )
        _hold(layer, weight, bias)
        return layer

    return made


def _transposed(
    _: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> nn.Module:
    kind: Any = nn.ConvTranspose2d
    layer: nn.Module = kind(
        weight.shape[0],
        weight.shape[1] * groups,
        tuple(weight.shape[2:]),
        stride=_sides(stride, 2),
        padding=_sides(padding, 2),
        output_padding=_sides(output_padding, 2),
        groups=groups,
        bias=bias is not None,
        dilation=_sides(dilation, 2),
        device="meta",
    )
    _hold(layer, weight, bias)
    return layer


def _sides(value: Any, dimensions: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * dimensions
    sides = tuple(int(one) for one in value)
    return sides * dimensions if len(sides) == 1 else sides


def _linear(_: Any, weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    _hold(layer, weight, bias)
    return layer


def _batch_norm(
    _: Any,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    *rest: Any,
) -> nn.Module:
    del momentum, rest
    if training:
        raise not_elastic("its batch normalisation is in training mode: call model.eval() first")
    if mean is None or variance is None:
        raise not_elastic("its batch normalisation has no running statistics")
    # one class for all ranks: `SyncBatchNorm` aside they compute alike
    layer = AnyBatchNorm(len(mean), eps=eps, affine=weight is not None)
    _hold(layer, weight, bias)
    layer.running_mean, layer.running_var = mean.clone(), variance.clone()
    return layer


class AnyBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of tensors of any rank, channels second."""

    def _check_input_dim(self, input: Tensor) -> None:
        del input


def _layer_norm(
    _: Any,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> nn.Module:
    del rest
    layer = nn.LayerNorm(list(shape), eps=eps, elementwise_affine=weight is not None)
    if weight is not None:
        _hold(layer, weight, bias)
    return layer


def _group_norm(
    _: Any,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> nn.Module:
    del rest
    assert weight is not None
    layer = nn.GroupNorm(groups, len(weight), eps=eps)
    _hold(layer, weight, bias)
    return layer


def _prelu(_: Any, weight: Tensor) -> nn.Module:
    layer = nn.PReLU(len(weight))
    _hold(layer, weight, None)
    return layer


LAYERS: Mapping[Any, Maker] = {
    ATEN.conv1d.default: _convolution(1),
    ATEN.conv1d.padding: _convolution(1),
    ATEN.conv2d.default: _convolution(2),
    ATEN.conv2d.padding: _convolution(2),
    ATEN.conv3d.default: _convolution(3),
    ATEN.conv_transpose2d.input: _transposed,
    ATEN.linear.default: _linear,
    ATEN.batch_norm.default: _batch_norm,
    ATEN.layer_norm.default: _layer_norm,
    ATEN.group_norm.default: _group_norm,
    ATEN.prelu.default: _prelu,
}
