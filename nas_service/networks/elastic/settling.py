"""Pairs set on samples, so that they answer as nearly as they can as the layers they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, fx, nn

from nas_service.networks.elastic.swaps import Swap

_POSITIONS = 64
"""Of each sample's map that a pair is set on."""
_RIDGE = 1e-3


def settle(network: fx.GraphModule, swaps: Sequence[Swap], inputs: Tensor) -> None:
    """Set the second of each pair so that it answers `inputs` as nearly as it can as its layer.

    Ridge regression on positions of the layer's maps, in the network as it is.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    with _watched(network, swaps, seen), torch.no_grad():
        network(inputs)
        for swap in swaps:
            given, wanted = seen[swap.layer]
            _regress(network.get_submodule(swap.parts[1]), given, wanted)


@contextmanager
def _watched(
    network: fx.GraphModule, swaps: Sequence[Swap], seen: dict[str, tuple[Tensor, Tensor]]
) -> Iterator[None]:
    """While layers are called, what their first parts make of the input, and what they answer."""
    hooks = []
    for swap in swaps:
        first = network.get_submodule(swap.parts[0])

        def note(
            _: nn.Module,
            given: tuple[Tensor, ...],
            answered: Tensor,
            *,
            name: str = swap.layer,
            part: nn.Module = first,
        ) -> None:
            maps = not isinstance(part, nn.Linear)
            seen[name] = _positions(part(given[0]), maps=maps), _positions(answered, maps=maps)

        layer = network.get_submodule(swap.layer)
        hooks.append(layer.register_forward_hook(note))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _positions(x: Tensor, *, maps: bool) -> Tensor:
    """Rows of channels at the same few positions of every sample: `(rows, channels)`."""
    if maps:
        x = x.flatten(2).transpose(1, 2)
    flat = x.reshape(len(x), -1, x.shape[-1])
    generator = torch.Generator().manual_seed(flat.shape[1])  # the same of what goes in and out
    some = torch.randperm(flat.shape[1], generator=generator)[:_POSITIONS]
    return flat[:, some.to(flat.device)].reshape(-1, x.shape[-1])


def _regress(layer: nn.Module, given: Tensor, wanted: Tensor) -> None:
    """Set a 1x1 layer to answer rows `(n, inputs)` with rows `(n, outputs)`; little moves it."""
    assert isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)
    weight = layer.weight.flatten(1)
    centre, aim = torch.zeros_like(given[0]), torch.zeros_like(wanted[0])
    if layer.bias is not None:
        centre, aim = given.mean(0), wanted.mean(0)
    around, missed = given - centre, wanted - aim - (given - centre) @ weight.T
    squares = around.T @ around
    level = squares.diagonal().mean().clamp_min(1e-9)
    squares = squares + _RIDGE * level * torch.eye(len(squares), device=squares.device)
    found = weight + torch.linalg.solve(squares, around.T @ missed).T
    layer.weight.copy_(found.reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.copy_(aim - found @ centre)
