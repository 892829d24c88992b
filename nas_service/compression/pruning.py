"""Pruning of single weights: by magnitude, n of m, and before training by SNIP and SynFlow.

Zeros make files smaller once they are packed. They make networks faster only on hardware that skips
them, which no processor here does: what comes of it is measured, as everything is.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from nas_service.compression.base import PassContext
from nas_service.compression.masks import (
    Layer,
    add_mask,
    mask_by,
    named_layers,
    prunable_layers,
)

_SNIP_SAMPLES = 256
_SYNFLOW_ROUNDS = 20


class MagnitudePass:
    """Smallest weights first, over all layers (Han et al., 2015); option: sparsity."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The masked copy."""
        return mask_by(network, _magnitude, float(context.options["sparsity"]))


class NOfMPass:
    """Of every m weights along a layer's input the n largest stay (Mishra et al., 2021)."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The masked copy; a layer whose inputs are no multiple of m is left as it is."""
        n, m = int(context.options["n"]), int(context.options["m"])
        copied = copy.deepcopy(network)
        for layer in prunable_layers(copied):
            if layer.weight.shape[1] % m == 0:
                add_mask(layer, n_of_m(layer.weight, n, m))
        return copied


class SnipPass:
    """Weights that matter least to the loss before training (Lee et al., 2019)."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """A masked copy with fresh weights, to be trained."""
        fresh = untrained(network, context.seed)
        data = context.data
        probe = copy.deepcopy(fresh).train()
        few = data.train.first(_SNIP_SAMPLES)
        loss = data.task.loss(probe(data.prepared(few.inputs, context.size)), few.targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
        scores = {}
        for name, layer in _named(probe):
            assert layer.weight.grad is not None
            scores[name] = (layer.weight * layer.weight.grad).detach().abs()
        return _mask_named(fresh, scores, float(context.options["sparsity"]))


class SynFlowPass:
    """Weights that carry least flow from input to output, round by round (Tanaka et al., 2020)."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """A masked copy with fresh weights, to be trained; looks at no sample."""
        fresh = untrained(network, context.seed)
        sparsity = float(context.options["sparsity"])
        shape = context.data.example(context.size)
        masked = fresh
        for number in range(1, _SYNFLOW_ROUNDS + 1):
            share = 1.0 - (1.0 - sparsity) ** (number / _SYNFLOW_ROUNDS)
            masked = _mask_named(fresh, _flow(masked, shape), share)
        return masked


def n_of_m(weight: Tensor, n: int, m: int) -> Tensor:
    """Which weights stay: of every m along the input the n largest, as a mask of its shape."""
    moved = weight.detach().movedim(1, -1)
    groups = moved.reshape(-1, m).abs()
    kept = torch.zeros_like(groups, dtype=torch.bool)
    kept.scatter_(1, groups.topk(n, dim=1).indices, value=True)
    return kept.reshape(moved.shape).movedim(-1, 1)


def untrained(network: nn.Module, seed: int) -> nn.Module:
    """A copy whose layers are as when they were made, weights drawn from `seed`."""
    copied = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in copied.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # type: ignore[operator]  # torch stubs
    return copied


def _magnitude(layer: Layer) -> Tensor:
    return layer.weight.detach().abs().clone()


def _named(network: nn.Module) -> list[tuple[str, Layer]]:
    wanted = set(prunable_layers(network))
    return [(name, layer) for name, layer in named_layers(network) if layer in wanted]


def _mask_named(network: nn.Module, scores: dict[str, Tensor], sparsity: float) -> nn.Module:
    of_layer = {layer: scores[name] for name, layer in _named(network)}
    copies = iter(of_layer.values())
    return mask_by(network, lambda _: next(copies).clone(), sparsity)


def _flow(network: nn.Module, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Score of every prunable weight: weight times gradient, all positive, a sample of ones."""
    probe = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.abs_()
    for module in probe.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = _identity  # type: ignore[method-assign, assignment]
    probe(torch.ones(shape, dtype=torch.float64)).sum().backward()
    found = {}
    for name, layer in _named(probe):
        inner: Any = getattr(layer, "parametrizations", None)
        plain: Tensor = layer.weight if inner is None else inner.weight.original
        assert plain.grad is not None
        found[name] = (plain * plain.grad).detach().abs().float()
    return found


def _identity(x: Tensor) -> Tensor:
    return x
