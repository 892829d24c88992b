"""Training for integers: weights and activations are rounded while the network learns.

Normalisation is folded into convolutions first, as it is where the network ships. Weights are
rounded by a scale a channel, activations by one a tensor from a moving range (Jacob et al., 2018);
gradients pass straight through. What comes out is a plain network whose weights bear rounding: any
toolchain quantises it afterwards by its own means.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nas_service.compression.base import PassContext
from nas_service.compression.distillation import recipe_of
from nas_service.compression.masks import (
    Mask,
    add_mask,
    bake,
    make_plain,
    masked_layers,
    named_layers,
    weighted_layers,
)
from nas_service.training.device import placed
from nas_service.training.loop import train

_MOMENTUM = 0.05
_WARM = 20
"""Batches that only ranges learn from."""


class QatPass:
    """Fine-tune under rounding; options as `finetune`'s."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The trained copy, with plain weights and without normalisation after convolutions.

        What was masked stays zero: folding scales weights and leaves zeros where they are.
        """
        masked = masked_layers(network)
        student = folded(bake(network))
        for name, layer in named_layers(student):
            if name in masked:
                add_mask(layer, layer.weight.detach() != 0)
            parametrize.register_parametrization(layer, "weight", RoundedWeight())
            layer.register_forward_pre_hook(RoundedInput())
        data = context.data
        with placed(student, data.device), torch.no_grad():
            for start in range(0, min(len(data.train), _WARM * 32), 32):
                inputs = data.train.inputs[start : start + 32].to(data.device)
                student(data.prepared(inputs, context.size))
        recipe = recipe_of(context)
        train(student, data, context.size, recipe, seed=context.seed, teacher=context.teacher)
        for layer in list(weighted_layers(student)):
            layer._forward_pre_hooks.clear()
            inner: Any = layer.parametrizations
            weight = inner.weight.original
            for before in inner.weight:
                if isinstance(before, Mask):
                    weight = before(weight)
            make_plain(layer, weight)
        return student.eval()


class RoundedWeight(nn.Module):
    """int8 with a scale an output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        flat = weight.detach().flatten(1).abs().amax(1)
        scale = (flat / 127.0).clamp_min(1e-9)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -128, 127)


class RoundedInput:
    """A pre-hook: uint8 with one scale, from a range that follows the batches."""

    def __init__(self) -> None:
        self.low: Tensor | None = None
        self.high: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x = inputs[0]
        low, high = x.detach().amin().clamp_max(0.0), x.detach().amax().clamp_min(0.0)
        if self.low is None or self.high is None:
            self.low, self.high = low, high
        elif module.training or not torch.is_grad_enabled():
            self.low = self.low + _MOMENTUM * (low - self.low)
            self.high = self.high + _MOMENTUM * (high - self.high)
        scale = ((self.high - self.low) / 255.0).clamp_min(1e-9)
        zero = torch.clamp(torch.round(-self.low / scale), 0, 255).to(torch.int32)
        return (torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, 255), *inputs[1:])


def folded(network: nn.Module) -> nn.Module:
    """A copy whose normalisations that directly follow a convolution are gone, in inference mode.

    Directly means: the next child of the same parent. A convolution that was made several layers
    ends in the last of them. That the copy computes the same is checked by its caller's tests, not
    here.
    """
    copied = copy.deepcopy(network).eval()
    for parent in list(copied.modules()):
        children = list(parent.named_children())
        for (first, before), (second, norm) in pairwise(children):
            where, name, conv = _last(parent, first, before)
            if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
                continue
            if conv.out_channels == norm.num_features:
                setattr(where, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, second, nn.Identity())
    return copied


def _last(parent: nn.Module, name: str, child: nn.Module) -> tuple[nn.Module, str, nn.Module]:
    """The layer that a child ends in, with its parent and its name there."""
    while isinstance(child, nn.Sequential) and len(child):
        parent, (name, child) = child, list(child.named_children())[-1]
    return parent, name, child
