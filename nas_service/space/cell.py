"""NAS-Bench-201 (Dong and Yang, 2020): a cell of four nodes and six edges, five operators an edge.

Networks are the benchmark's own: a 3x3 stem of 16 channels, three stages of five equal cells
(16, 32, 64 channels) with a residual reduction before the second and third, then normalisation,
ReLU, global pooling and a linear layer.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from lookup_tables.blocks.add import AddBlock
from lookup_tables.blocks.avg_pool import AvgPoolBlock
from lookup_tables.blocks.convolution import ConvBlock, ReluConvBlock
from lookup_tables.blocks.norm_head import NormHeadBlock
from lookup_tables.blocks.residual_reduction import ResidualReductionBlock
from nas_service.errors import InvalidSpec
from nas_service.space import cell_features
from nas_service.space.base import (
    Decision,
    FloatArray,
    ImageShape,
    IntArray,
    Node,
    Slot,
    junctions_of,
)
from nas_service.space.expression import (
    CONV1,
    CONV3,
    EDGES,
    N_NODES,
    NONE,
    OPERATORS,
    POOL,
    SKIP,
    WEIGHTS,
    classes,
    expression,
)

CHANNELS = (16, 32, 64)
CELLS_PER_STAGE = 5


class NasBench201Space:
    """See the module's text; 15,625 cells, of which 4,929 differ and are connected."""

    name = "nasbench201"
    has_supernet = False
    chain = False
    resolution: int | None = None

    def __init__(self, image: ImageShape) -> None:
        if not isinstance(image, ImageShape):
            raise InvalidSpec(
                f"nasbench201 classifies images, not {image.as_dict()}", field="space"
            )
        if image.size % 4 or image.size < 8:
            raise InvalidSpec(
                f"nasbench201 needs images whose side is a multiple of 4, not {image.size}"
            )
        self.sample = image
        self.decisions = tuple(
            Decision(f"op_{source}{target}", OPERATORS, ordered=False) for source, target in EDGES
        )

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Stem, cells and reductions by stage, head; cells read every decision."""
        everything = tuple(range(len(EDGES)))
        size, slots = self.sample.size, []
        stem = ConvBlock(self.sample.channels, CHANNELS[0], size, size, kernel=3)
        slots.append(Slot("stem", (), lambda _: (stem,)))
        for stage, channels in enumerate(CHANNELS):
            if stage:
                reduction = ResidualReductionBlock(CHANNELS[stage - 1], channels, size, size)
                slots.append(Slot(f"reduction{stage}", (), lambda _, b=reduction: (b,)))  # type: ignore[misc]
                size //= 2
            stage_blocks = _StageBlocks(channels, size)
            slots.append(
                Slot(f"stage{stage + 1}", everything, stage_blocks, stage_blocks.junctions)
            )
        head = NormHeadBlock(CHANNELS[-1], self.sample.n_classes, size, size)
        slots.append(Slot("head", (), lambda _: (head,)))
        return tuple(slots)

    def canonical(self, genotypes: IntArray) -> IntArray:
        """The cheapest cell that computes the same function, dead edges cut."""
        numbers = classes()[0][np.asarray(genotypes) @ WEIGHTS]
        return np.asarray(numbers[:, None] // WEIGHTS % 5, dtype=np.int64)

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Cells in which the input reaches the output."""
        return np.asarray(classes()[1][np.asarray(genotypes) @ WEIGHTS])

    def features(self, genotypes: IntArray) -> FloatArray:
        """See `cell_features`."""
        return cell_features.features(genotypes)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is."""
        return cell_features.names()

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The benchmark's network with this cell."""
        row = self.canonical(np.asarray(genotype)[None, :])[0]
        cell = tuple(int(v) for v in row)
        if not expression(cell):
            raise InvalidSpec("the cell's input does not reach its output")
        size = self.sample.size
        nodes = [Node(ConvBlock(self.sample.channels, CHANNELS[0], size, size, kernel=3), (-1,))]
        for stage, channels in enumerate(CHANNELS):
            if stage:
                block = ResidualReductionBlock(CHANNELS[stage - 1], channels, size, size)
                nodes.append(Node(block, (len(nodes) - 1,)))
                size //= 2
            for _ in range(CELLS_PER_STAGE):
                _wire_cell(nodes, cell, channels, size)
        head = NormHeadBlock(CHANNELS[-1], self.sample.n_classes, size, size)
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
        # a table of costs asks for all 15,625 cells, several times over
        self._one_cell = lru_cache(maxsize=None)(self._blocks_and_junctions)

    def __call__(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        return self._one_cell(values)[0] * CELLS_PER_STAGE

    def junctions(self, values: tuple[Any, ...]) -> tuple[str, ...]:
        """Where the cells' edges meet; each cell's output is the next one's input."""
        return self._one_cell(values)[1] * CELLS_PER_STAGE

    def _blocks_and_junctions(
        self, values: tuple[Any, ...]
    ) -> tuple[tuple[Block, ...], tuple[str, ...]]:
        cell = tuple(OPERATORS.index(value) for value in values)
        if not expression(cell):
            return (), ()
        nodes: list[Node] = [Node(ConvBlock(1, 1, 1, 1), (-1,))]  # stands for what came before
        _wire_cell(nodes, cell, self._channels, self._size)
        blocks = tuple(node.block for node in nodes[1:])
        return blocks, junctions_of(nodes, repeated=True)


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
            block = AddBlock.of(channels, size, size, terms=len(terms))
            nodes.append(Node(block, tuple(terms)))
            at[target] = len(nodes) - 1
        else:
            at[target] = terms[0] if terms else None
    last = at[N_NODES - 1]
    if last is not None and last != len(nodes) - 1:
        # the next block reads the last node, so an output that stands earlier is passed on
        nodes.append(Node(AddBlock.of(channels, size, size), (last,)))


@lru_cache(maxsize=64)
def _operator_block(operator: int, channels: int, size: int) -> Block:
    if operator == POOL:
        return AvgPoolBlock.of(channels, size, size)
    kernel = 1 if operator == CONV1 else 3
    return ReluConvBlock(channels, channels, size, size, kernel=kernel)
