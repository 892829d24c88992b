"""An elastic network as a description: decisions, and the sizes of its pieces under each of them.

Every decision is changed by itself and the shapes are read off; that sizes add up over decisions is
then checked on members drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import networkx as nx
import torch
from torch import fx, nn

from nas_service.errors import InvalidData
from nas_service.networks.elastic.groups import Frozen
from nas_service.networks.elastic.members import cut_out
from nas_service.networks.elastic.options import Options, Tell, Width, random_rows
from nas_service.networks.elastic.shaped import Shaped, Sizes, not_additive, sizes_by_decision
from nas_service.networks.elastic.swaps import OWN
from nas_service.space.elastic.description import (
    DEPTH,
    KERNEL,
    SIZE,
    SWAP,
    WIDTH,
    Bypass,
    Choice,
    Piece,
)

MOST_COMBINATIONS = 512
"""Of the decisions that the sizes of one piece depend on: beyond them widths are tied together."""


@dataclass(frozen=True)
class Described:
    """The options as they were settled, and what they make of the network's pieces."""

    options: Options
    choices: tuple[Choice, ...]
    pieces: tuple[Piece, ...]
    bypasses: tuple[Bypass, ...]
    unknown: tuple[str, ...]
    """Operators that no family of blocks stands for: priced as copies."""


def describe(options: Options, tell: Tell) -> Described:
    """Decisions and pieces of a network.

    Raises:
        InvalidData: nothing of the network can be chosen; the error says why.
    """
    while True:
        shaped = Shaped(options)
        sizes = sizes_by_decision(options, shaped, tell)
        tied = _tied(options, sizes)
        if tied is None:
            break
        options = tied
    wrong = not_additive(options, shaped, sizes)
    if wrong is not None:
        node = wrong.partition(" ")[0]
        layers = dict(zip(_swapped(options), options.swaps, strict=True))
        of_pair = [layers[one] for one, pair in shaped.pairs().items() if node in pair]
        if of_pair:
            reason = "nothing cheaper stands for it: its sizes depend on choices together"
            frozen = (*options.frozen, Frozen(of_pair[0].layer, reason))
            swaps = tuple(one for one in options.swaps if one not in of_pair)
            return describe(replace(options, swaps=swaps, frozen=frozen), tell)
        if len(options.sizes) == 1:
            raise InvalidData(
                f"the model cannot be made elastic: sizes of {wrong} depend on choices together",
                field="model",
            )
        frozen = (*options.frozen, Frozen("input size", f"{wrong} depends on it and on widths"))
        return describe(replace(options, sizes=options.sizes[-1:], frozen=frozen), tell)
    return _described(options, shaped, sizes)


def _tied(options: Options, sizes: Sizes) -> Options | None:
    """Widths tied together where one piece depends on too many; nothing where none does."""
    widths = len(options.widths)
    together = nx.Graph()
    for by_name in sizes.values():
        reads = {place for size in by_name.values() for place in size.changes}
        combinations = math.prod(options.n_values[place] for place in reads)
        of_width = sorted(place for place in reads if place < widths)
        if combinations > MOST_COMBINATIONS and len(of_width) > 1:
            nx.add_path(together, of_width)
    if not together:
        return None
    tied = list(options.widths)
    for places in map(sorted, nx.connected_components(together)):
        first, *others = places
        tied[first] = _tie([options.widths[place] for place in places])
        for place in others:
            tied[place] = replace(tied[place], groups=())
    return replace(options, widths=tuple(one for one in tied if one.groups))


def _tie(members: Sequence[Width]) -> Width:
    shares = max((one.shares for one in members), key=len)
    groups = tuple(group for one in members for group in one.groups)
    name = f"{members[0].name.partition('+')[0]}+{len(groups) - 1}"
    return Width(name, shares, groups)


def _described(options: Options, shaped: Shaped, sizes: Sizes) -> Described:
    whole = shaped.trace(shaped.whole)
    widths = len(options.widths)
    region_of = {
        name: widths + number
        for number, region in enumerate(options.regions)
        for name in region.inside
    }
    choices = [
        *(Choice(w.name, WIDTH, w.shares, tuple(g.name for g in w.groups)) for w in options.widths),
        *(Choice(f"depth.{one.name}", DEPTH, (0, 1)) for one in options.regions),
        *(Choice(f"kernel.{one.layer}", KERNEL, one.taps) for one in options.kernels),
        *(Choice(f"swap.{one.layer}", SWAP, (one.kind, OWN)) for one in options.swaps),
        Choice("size.input", SIZE, options.sizes),
    ]
    bypasses = [
        Bypass(widths + number, whole.piece_of[region.entry], whole.piece_of[region.exit])
        for number, region in enumerate(options.regions)
    ]
    others = {one.name: one for one in shaped.trace(shaped.swapped).pieces}
    pairs, place_of = shaped.pairs(), dict(zip(_swapped(options), shaped.swaps, strict=True))
    pieces = []
    for one in whole.pieces:
        inside = region_of.get(one.name.partition(".")[0])
        if one.name not in pairs:
            pieces.append(Piece(one.name, one.kind, sizes[one.name], one.inputs, inside))
            continue
        place = place_of[one.name]
        pieces.append(Piece(one.name, one.kind, sizes[one.name], one.inputs, inside, (place, 1)))
        first, second = (others[name] for name in pairs[one.name])
        for part, inputs in ((first, one.inputs), (second, (first.name,))):
            own = sizes[part.name]
            pieces.append(Piece(part.name, part.kind, own, inputs, inside, (place, 0)))
        bypasses.append(Bypass(place, second.name, one.name))
    unknown = tuple(sorted(whole.unknown))
    return Described(options, tuple(choices), tuple(pieces), tuple(bypasses), unknown)


def _swapped(options: Options) -> list[str]:
    """Nodes of the layers that may be swapped, in the order of these decisions."""
    node_of = {
        str(node.target): node.name
        for node in options.network.graph.nodes
        if node.op == "call_module"
    }
    return [node_of[one.layer] for one in options.swaps]


def layer_kinds(network: fx.GraphModule) -> dict[str, str]:
    """Layers with weights that multiply, by name: what they are."""
    called = {str(node.target) for node in network.graph.nodes if node.op == "call_module"}
    return {
        name: type(layer).__name__
        for name, layer in network.named_children()
        if name in called
        and isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    }


def trainable_everywhere(options: Options, n: int) -> None:
    """Run the largest, the smallest and random members forward and backward.

    Raises:
        InvalidData: one of them cannot be trained.
    """
    ends = [[one - 1 for one in options.n_values], [0] * len(options.n_values)]
    for row in [*ends, *random_rows(options, n, seed=3)]:
        member, _ = cut_out(options.network, options.groups, options.plan(row))
        shape = options.input_shape(row)
        sample = torch.randn((2, *shape[1:]), generator=torch.Generator().manual_seed(4))
        member.train()
        outputs = member(sample)
        outputs.square().mean().backward()
        gradients = [one.grad for one in member.parameters() if one.requires_grad]
        reached = [one for one in gradients if one is not None]
        if not reached or not all(torch.isfinite(one).all() for one in reached):
            raise InvalidData(
                "the model cannot be made elastic: no finite gradient reaches its weights in a "
                "smaller member",
                field="model",
            )
