"""Members traced: the sizes of their pieces, and whether these add up over decisions."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from lookup_tables.blocks.registry import block_of
from lookup_tables.errors import LookupTableError
from nas_service.networks.elastic.members import cut_out, shapes_of
from nas_service.networks.elastic.options import Options, Tell, random_rows
from nas_service.networks.elastic.pieces import Tracing, trace
from nas_service.networks.elastic.swaps import pair_nodes
from nas_service.space.elastic.description import PieceSize

_N_CHECKED = 8


class Shaped:
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


Sizes = dict[str, dict[str, PieceSize]]


def sizes_by_decision(options: Options, shaped: Shaped, tell: Tell) -> Sizes:
    """Every size of every piece, with what each decision by itself changes it by."""
    found = _changed_from(shaped.whole, options, shaped, tell)
    if options.swaps:  # those of pairs, which are not in the whole network
        found = _changed_from(shaped.swapped, options, shaped, tell) | found
    return found


def _changed_from(whole_row: list[int], options: Options, shaped: Shaped, tell: Tell) -> Sizes:
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


def _predicted(piece: Mapping[str, PieceSize], row: Sequence[int]) -> dict[str, int]:
    return {
        name: size.whole + sum(by[row[place]] for place, by in size.changes.items())
        for name, size in piece.items()
    }


def not_additive(options: Options, shaped: Shaped, sizes: Sizes) -> str | None:
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
