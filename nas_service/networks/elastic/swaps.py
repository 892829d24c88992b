"""Cheaper layers in the place of a layer, with weights that come from it.

A dense convolution becomes a depthwise and a 1x1 convolution, a linear layer a product of two. Both
begin as the nearest such pair by singular values; on samples the second of them is then set so
that the pair answers as nearly as it can as the layer does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas_service.networks.elastic.groups import INPUTS, OUTPUTS, ChannelGroup, Cut

SEPARABLE, LOW_RANK, OWN = "separable", "low_rank", "own"
"""What stands in a layer's place; its own is the last value of the decision."""
_PARTS = {SEPARABLE: ("depthwise", "pointwise"), LOW_RANK: ("down", "up")}
MOST_SWAPS = 8
"""Layers that may be swapped: those that save most."""
_FEWEST = 16
"""Channels in and out below which a layer stays."""
_LEAST_SAVED = 0.01
"""Of the network's products."""
_RANK_SHARE = 6
"""The smaller side of a linear layer over the rank that is left of it."""
_POSITIONS = 64
"""Of each sample's map that a pair is set on."""
_RIDGE = 1e-3
_LARGE = 1024
"""The smaller side of a linear layer from which on only the largest singular values are found."""


@dataclass(frozen=True)
class Swap:
    """A layer and the kind of pair that may stand for it."""

    layer: str
    kind: str

    @property
    def parts(self) -> tuple[str, str]:
        """Names of the pair."""
        first, second = _PARTS[self.kind]
        return f"{self.layer}__{first}", f"{self.layer}__{second}"


def find_swaps(network: fx.GraphModule, macs: Mapping[str, int]) -> list[Swap]:
    """Layers that are worth swapping; `macs` are products by layer, of the whole network."""
    uses: dict[str, int] = {}
    for node in network.graph.nodes:
        if node.op == "call_module":
            uses[str(node.target)] = uses.get(str(node.target), 0) + 1
    total = max(1, sum(macs.values()))
    found = []
    for name, n in uses.items():
        layer = network.get_submodule(name)
        kind = kind_for(layer)
        if kind is None or n > 1:
            continue
        saved = macs.get(name, 0) * (1.0 - _left(layer))
        if saved >= _LEAST_SAVED * total:
            found.append((saved, Swap(name, kind)))
    best = {swap.layer for _, swap in sorted(found, key=lambda one: -one[0])[:MOST_SWAPS]}
    return [swap for _, swap in found if swap.layer in best]


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


def _left(layer: nn.Module) -> float:
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


def add_swaps(network: fx.GraphModule, swaps: Sequence[Swap]) -> None:
    """Put the pairs beside their layers; the network itself does not call them."""
    for swap in swaps:
        for name, module in zip(swap.parts, pair(network.get_submodule(swap.layer)), strict=True):
            network.add_module(name, module)


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


def cut_with_pairs(
    network: fx.GraphModule, groups: Sequence[ChannelGroup], swaps: Sequence[Swap]
) -> list[ChannelGroup]:
    """Groups whose channels run through the pairs as they run through their layers.

    A rank is as much narrower as what its layer gives, or as what it reads where that stays: a pair
    is cheaper than its layer at every width.
    """
    gives = {cut.layer for group in groups for cut in group.cuts if cut.side == OUTPUTS}
    by_layer = {one.layer: one for one in swaps}
    found = []
    for group in groups:
        cuts = list(group.cuts)
        for cut in group.cuts:
            swap = by_layer.get(cut.layer)
            if swap is not None:
                first, second = swap.parts
                leads = cut.side == OUTPUTS or cut.layer not in gives
                if swap.kind == LOW_RANK and leads:
                    cuts += _of_rank(network, group, swap)
                if cut.side == OUTPUTS:
                    cuts.append(Cut(second, OUTPUTS, cut.places, cut.channels))
                elif swap.kind == LOW_RANK:
                    cuts.append(Cut(first, INPUTS, cut.places, cut.channels))
                else:  # depthwise: what goes in comes out
                    cuts.append(Cut(first, OUTPUTS, cut.places, cut.channels))
                    cuts.append(Cut(second, INPUTS, cut.places, cut.channels))
        found.append(ChannelGroup(group.name, group.order, tuple(cuts)))
    return found


def _of_rank(network: fx.GraphModule, group: ChannelGroup, swap: Swap) -> list[Cut]:
    """Ranks that go with the channels of a group, the least ones with the least important."""
    first, second = swap.parts
    down = network.get_submodule(first)
    assert isinstance(down, nn.Linear)
    ranks = tuple(range(down.out_features))
    with_them = tuple(group.order[one * group.size // len(ranks)] for one in ranks)
    return [Cut(first, OUTPUTS, ranks, with_them), Cut(second, INPUTS, ranks, with_them)]


def swapped_in(graph: fx.Graph, swaps: Sequence[Swap]) -> None:
    """Let a graph call pairs in the place of their layers, where these are in it."""
    by_layer = {one.layer: one for one in swaps}
    for node in list(graph.nodes):
        swap = by_layer.get(str(node.target)) if node.op == "call_module" else None
        if swap is None:
            continue
        x = node.args[0]
        with graph.inserting_before(node):
            for name, part in zip(pair_nodes(node.name, swap), swap.parts, strict=True):
                x = graph.create_node("call_module", part, (x,), name=name)
        node.replace_all_uses_with(x)
        graph.erase_node(node)


def pair_nodes(node: str, swap: Swap) -> tuple[str, str]:
    """Names of the nodes of a pair that stand in the place of one."""
    first, second = _PARTS[swap.kind]
    return f"{node}__{first}", f"{node}__{second}"


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
