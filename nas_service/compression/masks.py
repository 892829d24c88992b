"""Weights that stay zero through training, and which weights they are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

Layer = nn.Conv2d | nn.Linear


class Mask(nn.Module):
    """Multiplies a weight with zeros and ones."""

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept)

    kept: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.kept


def named_layers(network: nn.Module) -> Iterator[tuple[str, Layer]]:
    """Convolutions and linear layers with their names, in order."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield name, module


def weighted_layers(network: nn.Module) -> Iterator[Layer]:
    """Convolutions and linear layers, in order."""
    for _, layer in named_layers(network):
        yield layer


def masked_layers(network: nn.Module) -> set[str]:
    """Names of the layers whose weights bear a mask."""
    return {
        name
        for name, layer in named_layers(network)
        if parametrize.is_parametrized(layer, "weight")
        and any(isinstance(one, Mask) for one in layer.parametrizations["weight"])  # type: ignore[index]
    }


def prunable_layers(network: nn.Module) -> list[Layer]:
    """Those whose weights are worth masking: all but depthwise ones, which are a few per mille."""
    return [m for m in weighted_layers(network) if getattr(m, "groups", 1) == 1]


def mask_by(network: nn.Module, score: Callable[[Layer], Tensor], sparsity: float) -> nn.Module:
    """A copy in which the share `sparsity` of all prunable weights, lowest in score, is zero.

    Layers are compared with each other; each keeps at least one weight in a hundred, so that none
    is cut off.
    """
    copied = copy.deepcopy(network)
    layers = prunable_layers(copied)
    scores = [score(layer).flatten() for layer in layers]
    for one in scores:
        floor = max(1, len(one) // 100)
        one[one.topk(floor).indices] = torch.inf
    every = torch.cat(scores)
    threshold = every.kthvalue(max(1, int(sparsity * len(every)))).values
    for layer, one in zip(layers, scores, strict=True):
        add_mask(layer, (one > threshold).reshape(layer.weight.shape))
    return copied


def add_mask(layer: Layer, kept: Tensor) -> None:
    """Zero what is not `kept`, now and through training."""
    parametrize.register_parametrization(layer, "weight", Mask(kept.float()))


def bake(network: nn.Module) -> nn.Module:
    """A copy with plain weights in place of masks and fake quantisation."""
    copied = copy.deepcopy(network)
    for layer in list(weighted_layers(copied)):
        if parametrize.is_parametrized(layer, "weight"):
            make_plain(layer, layer.weight)
    return copied


def make_plain(layer: Layer, weight: Tensor) -> None:
    """Give a parametrised layer this weight and nothing that changes it.

    torch's own `remove_parametrizations` changes the layer's class, which copies of it share.
    """
    plain = nn.Parameter(weight.detach().clone())
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer._modules["parametrizations"]
    layer.register_parameter("weight", plain)


def sparsity_of(network: nn.Module) -> float:
    """Share of zeros among weights of convolutions and linear layers."""
    weights = [layer.weight for layer in weighted_layers(network)]
    return sum(int((w == 0).sum()) for w in weights) / max(1, sum(w.numel() for w in weights))
