"""NAS-Bench-201 (Dong and Yang, 2020): a cell of four nodes and six edges, five operators an edge.

Networks are the benchmark's own: a 3x3 stem of 16 channels, three stages of five equal cells
(16, 32, 64 channels) with a residual reduction before the second and third, then normalisation,
ReLU, global pooling and a linear layer.
"""

from __future__ import annotations

from collections import Counter
from functools import cache, cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from nas_service.errors import InvalidSpec
from nas_service.space.base import Decision, FloatArray, ImageShape, IntArray, Node, Slot

OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV1, CONV3, POOL = range(5)
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
N_NODES = 4
CHANNELS = (16, 32, 64)
CELLS_PER_STAGE = 5
_WEIGHTS = 5 ** np.arange(len(EDGES) - 1, -1, -1)

Term = tuple[Any, ...]


@cache
def _expression(cell: tuple[int, ...], node: int) -> Term:
    """What a node computes: the sorted multiset of its terms, skips flattened."""
    if node == 0:
        return ("x",)
    terms: list[Any] = []
    for (source, target), operator in zip(EDGES, cell, strict=True):
        if target != node or operator == NONE:
            continue
        inner = _expression(cell, source)
        if operator == SKIP:
            terms.extend(inner)
        elif inner:
            terms.append((operator, inner))
    return tuple(sorted(terms, key=repr))


@cache
def _classes() -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """For every cell the number of its class's representative, and whether it is connected.

    The representative is the member with the fewest operators that cost something, then the
    lowest number: dead edges are gone from it.
    """
    cells = list(product(range(5), repeat=len(EDGES)))
    best: dict[Term, tuple[int, int, int]] = {}
    keys = []
    for number, cell in enumerate(cells):
        key = _expression(cell, N_NODES - 1)
        keys.append(key)
        costly = sum(operator >= CONV1 for operator in cell)
        live = sum(operator != NONE for operator in cell)
        rank = (costly, live, number)
        if key not in best or rank < best[key]:
            best[key] = rank
    representative = np.array([best[key][2] for key in keys], dtype=np.int64)
    return representative, np.array([bool(key) for key in keys])


def _operators_of(term: Term) -> Counter[tuple[int, int]]:
    """Operators of an expression with the depth at which they stand below the output."""
    counts: Counter[tuple[int, int]] = Counter()

    def visit(terms: Term, depth: int) -> None:
        for one in terms:
            if one == "x":
                counts[SKIP, depth] += 1
            else:
                counts[one[0], depth] += 1
                visit(one[1], depth + 1)

    visit(term, 0)
    return counts


class NasBench201Space:
    """See the module's text; 15,625 cells, of which 4,929 differ and are connected."""

    name = "nasbench201"
    has_supernet = False
    resolution: int | None = None

    def __init__(self, image: ImageShape) -> None:
        if image.size % 4 or image.size < 8:
            raise InvalidSpec(
                f"nasbench201 needs images whose side is a multiple of 4, not {image.size}"
            )
        self.image = image
        self.decisions = tuple(
            Decision(f"op_{source}{target}", OPERATORS, ordered=False) for source, target in EDGES
        )

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Stem, cells and reductions by stage, head; cells read every decision."""
        everything = tuple(range(len(EDGES)))
        size, slots = self.image.size, []
        stem = Block("conv", self.image.channels, CHANNELS[0], size, size, kernel=3)
        slots.append(Slot("stem", (), lambda _: (stem,)))
        for stage, channels in enumerate(CHANNELS):
            if stage:
                reduction = Block(
                    "residual_reduction", CHANNELS[stage - 1], channels, size, size, 3, 2
                )
                slots.append(Slot(f"reduction{stage}", (), lambda _, b=reduction: (b,)))  # type: ignore[misc]
                size //= 2
            slots.append(Slot(f"stage{stage + 1}", everything, _StageBlocks(channels, size)))
        head = Block("norm_head", CHANNELS[-1], self.image.n_classes, size, size)
        slots.append(Slot("head", (), lambda _: (head,)))
        return tuple(slots)

    def canonical(self, genotypes: IntArray) -> IntArray:
        """The cheapest cell that computes the same function, dead edges cut."""
        numbers = _classes()[0][np.asarray(genotypes) @ _WEIGHTS]
        return np.asarray(numbers[:, None] // _WEIGHTS % 5, dtype=np.int64)

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Cells in which the input reaches the output."""
        return np.asarray(_classes()[1][np.asarray(genotypes) @ _WEIGHTS])

    def features(self, genotypes: IntArray) -> FloatArray:
        """Operators of the output's expression by kind and depth, terms, distinct paths."""
        rows = []
        for cell in self.canonical(genotypes):
            term = _expression(tuple(int(v) for v in cell), N_NODES - 1)
            counts = _operators_of(term)
            by_depth = [counts[op, depth] for op in range(1, 5) for depth in range(3)]
            totals = [sum(counts[op, depth] for depth in range(3)) for op in range(1, 5)]
            live = [float((cell == op).sum()) for op in range(5)]
            rows.append([*by_depth, *totals, *live, len(term), len(set(map(repr, term)))])
        return np.array(rows, dtype=np.float64)

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The benchmark's network with this cell."""
        row = self.canonical(np.asarray(genotype)[None, :])[0]
        cell = tuple(int(v) for v in row)
        if not _expression(cell, N_NODES - 1):
            raise InvalidSpec("the cell's input does not reach its output")
        size = self.image.size
        nodes = [Node(Block("conv", self.image.channels, CHANNELS[0], size, size, kernel=3), (-1,))]
        for stage, channels in enumerate(CHANNELS):
            if stage:
                block = Block("residual_reduction", CHANNELS[stage - 1], channels, size, size, 3, 2)
                nodes.append(Node(block, (len(nodes) - 1,)))
                size //= 2
            for _ in range(CELLS_PER_STAGE):
                _wire_cell(nodes, cell, channels, size)
        head = Block("norm_head", CHANNELS[-1], self.image.n_classes, size, size)
        return (*nodes, Node(head, (len(nodes) - 1,)))

    def largest(self) -> IntArray:
        """3x3 convolutions everywhere."""
        return np.full(len(EDGES), CONV3, dtype=np.int64)

    def smallest(self) -> IntArray:
        """One skip from input to output."""
        return np.array([NONE, NONE, NONE, SKIP, NONE, NONE], dtype=np.int64)


class _StageBlocks:
    """The blocks of a stage's five cells, for the values of all six decisions."""

    def __init__(self, channels: int, size: int) -> None:
        self._channels = channels
        self._size = size

    def __call__(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        cell = tuple(OPERATORS.index(value) for value in values)
        if not _expression(cell, N_NODES - 1):
            return ()
        nodes: list[Node] = [Node(Block("conv", 1, 1, 1, 1), (-1,))]  # stands for what came before
        _wire_cell(nodes, cell, self._channels, self._size)
        return tuple(node.block for node in nodes[1:]) * CELLS_PER_STAGE


def _wire_cell(nodes: list[Node], cell: tuple[int, ...], channels: int, size: int) -> None:
    """Append one cell; its output is the last node, or the input itself where it only skips."""
    at: dict[int, int | None] = {0: len(nodes) - 1}
    for target in range(1, N_NODES):
        terms: list[int] = []
        for (source, node), operator in zip(EDGES, cell, strict=True):
            origin = at[source] if node == target else None
            if operator == NONE or origin is None:
                continue
            if operator == SKIP:
                terms.append(origin)
                continue
            nodes.append(Node(_operator_block(operator, channels, size), (origin,)))
            terms.append(len(nodes) - 1)
        if len(terms) > 1:
            block = Block("add", channels, channels, size, size, terms=len(terms))
            nodes.append(Node(block, tuple(terms)))
            at[target] = len(nodes) - 1
        else:
            at[target] = terms[0] if terms else None
    last = at[N_NODES - 1]
    if last is not None and last != len(nodes) - 1:
        # the next block reads the last node, so an output that stands earlier is passed on
        nodes.append(Node(Block("add", channels, channels, size, size), (last,)))


def _operator_block(operator: int, channels: int, size: int) -> Block:
    if operator == POOL:
        return Block("avg_pool", channels, channels, size, size, kernel=3)
    kernel = 1 if operator == CONV1 else 3
    return Block("relu_conv", channels, channels, size, size, kernel=kernel)
