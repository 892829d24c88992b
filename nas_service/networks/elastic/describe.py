"""An elastic network as a description: decisions, and the sizes of its pieces under each of them.

Every decision is changed by itself and the shapes are read off; that sizes add up over decisions is
then checked on members drawn at random.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx
import torch
from torch import fx, nn

from lookup_tables.blocks.registry import block_of
from lookup_tables.errors import LookupTableError
from nas_service.errors import InvalidData
from nas_service.networks.elastic.groups import Frozen
from nas_service.networks.elastic.members import cut_out, shapes_of
from nas_service.networks.elastic.options import Options, Tell, Width, random_rows
from nas_service.networks.elastic.pieces import Tracing, trace
from nas_service.networks.elastic.swaps import OWN, pair_nodes
from nas_service.space.elastic.description import (
    DEPTH,
    KERNEL,
    SIZE,
    SWAP,
    WIDTH,
    Bypass,
    Choice,
    Piece,
    PieceSize,
)

MOST_COMBINATIONS = 512
"""Of the decisions that the sizes of one piece depend on: beyond them widths are tied together."""
_N_CHECKED = 8


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
        shaped = _Shaped(options)
        sizes = _sizes_by_decision(options, shaped, tell)
        tied = _tied(options, sizes)
        if tied is None:
            break
        options = tied
    wrong = _not_additive(options, shaped, sizes)
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


class _Shaped:
    """Traces members; shapes are found without computing where the network allows that."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.whole = [one - 1 for one in options.n_values]
        first = len(self.whole) - 1 - len(options.swaps)
        self.swaps = range(first, len(self.whole) - 1)
        """Positions of decisions about what stands in the place of a layer."""
        self.swapped = [0 if place in self.swaps else one for place, one in enumerate(self.whole)]
        self._joins: set[tuple[str, str]] | None = None
        self._network = options.network
        meta = copy.deepcopy(options.network).to("meta")
        try:
            shapes_of(meta, options.shape, device="meta")
        except Exception:  # noqa: BLE001  # whatever torch raises: then it computes
            self._device = "cpu"
        else:
            self._network, self._device = meta, "meta"
        self._joins = self.trace(self.whole).met
        for layer, pair in self.pairs().items():
            self._joins |= {(pair[1], after) for one, after in self._joins if one == layer}

    def pairs(self) -> dict[str, tuple[str, str]]:
        """Nodes of the pairs that may stand for a layer, by the layer's node."""
        by_layer = {one.layer: one for one in self._options.swaps}
        return {
            node.name: pair_nodes(node.name, by_layer[str(node.target)])
            for node in self._options.network.graph.nodes
            if node.op == "call_module" and str(node.target) in by_layer
        }

    def trace(self, row: Sequence[int]) -> Tracing:
        """The pieces of a member."""
        member, _ = cut_out(
            self._network, self._options.groups, self._options.plan(row), borrow=True
        )
        shapes = shapes_of(member, self._options.input_shape(row), device=self._device)
        return trace(member, shapes, self._joins)


_Sizes = dict[str, dict[str, PieceSize]]


def _sizes_by_decision(options: Options, shaped: _Shaped, tell: Tell) -> _Sizes:
    """Every size of every piece, with what each decision by itself changes it by."""
    found = _changed_from(shaped.whole, options, shaped, tell)
    if options.swaps:  # those of pairs, which are not in the whole network
        found = _changed_from(shaped.swapped, options, shaped, tell) | found
    return found


def _changed_from(whole_row: list[int], options: Options, shaped: _Shaped, tell: Tell) -> _Sizes:
    """The same of the pieces of one member."""
    whole = shaped.trace(whole_row)
    changes: dict[tuple[str, str], dict[int, list[int]]] = {}
    first_region = len(options.widths)
    for place, n in enumerate(options.n_values):
        tell(place / len(options.n_values), f"sizes under decision {place + 1}")
        if first_region <= place < first_region + len(options.regions) or place in shaped.swaps:
            continue  # what is left out, or not there, has no size
        for value in range(n - 1):
            row = list(whole_row)
            row[place] = value
            pieces = {one.name: one for one in shaped.trace(row).pieces}
            for before in whole.pieces:
                now = pieces[before.name].sizes
                for name, size in before.sizes.items():
                    if now[name] != size:
                        by = changes.setdefault((before.name, name), {}).setdefault(place, [0] * n)
                        by[value] = now[name] - size
    return {
        one.name: {
            name: PieceSize(
                size, {p: tuple(by) for p, by in changes.get((one.name, name), {}).items()}
            )
            for name, size in one.sizes.items()
        }
        for one in whole.pieces
    }


def _tied(options: Options, sizes: _Sizes) -> Options | None:
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


def _predicted(piece: Mapping[str, PieceSize], row: Sequence[int]) -> dict[str, int]:
    return {
        name: size.whole + sum(by[row[place]] for place, by in size.changes.items())
        for name, size in piece.items()
    }


def _not_additive(options: Options, shaped: _Shaped, sizes: _Sizes) -> str | None:
    """A piece whose sizes do not add up over decisions, or that is no block; nothing else."""
    n = len(options.n_values)
    for row in [shaped.whole, shaped.swapped, [0] * n, *random_rows(options, _N_CHECKED, seed=2)]:
        for piece in shaped.trace(row).pieces:
            predicted = _predicted(sizes[piece.name], row)
            if predicted != dict(piece.sizes):
                return piece.name
            try:
                block_of(piece.kind, piece.sizes)
            except LookupTableError as error:
                return f"{piece.name} ({error})"
    return None


def _described(options: Options, shaped: _Shaped, sizes: _Sizes) -> Described:
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
