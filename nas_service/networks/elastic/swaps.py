"""Cheaper layers in the place of a layer, with weights that come from it: see `pairs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import fx, nn

from nas_service.networks.elastic.groups import INPUTS, OUTPUTS, ChannelGroup, Cut
from nas_service.networks.elastic.pairs import (
    LOW_RANK,
    SEPARABLE,
    kind_for,
    pair,
    share_left,
)

OWN = "own"
"""The value of a swap's decision at which the layer itself stands there; the last one."""
_PARTS = {SEPARABLE: ("depthwise", "pointwise"), LOW_RANK: ("down", "up")}
MOST_SWAPS = 4
"""Layers that may be swapped: those that save most."""
_LEAST_SAVED = 0.01
"""Of the network's products."""


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
        saved = macs.get(name, 0) * (1.0 - share_left(layer))
        if saved >= _LEAST_SAVED * total:
            found.append((saved, Swap(name, kind)))
    best = {swap.layer for _, swap in sorted(found, key=lambda one: -one[0])[:MOST_SWAPS]}
    return [swap for _, swap in found if swap.layer in best]


def add_swaps(network: fx.GraphModule, swaps: Sequence[Swap]) -> None:
    """Put the pairs beside their layers; the network itself does not call them."""
    for swap in swaps:
        for name, module in zip(swap.parts, pair(network.get_submodule(swap.layer)), strict=True):
            network.add_module(name, module)


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
