"""A space whose networks lost a share of their channels: the same decisions, narrower blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy.typing as npt

from lookup_tables.blocks import Block
from nas_service.space.base import (
    Decision,
    FloatArray,
    ImageShape,
    IntArray,
    Node,
    SearchSpace,
    Slot,
)

MIN_WIDTH, MAX_WIDTH = 0.75, 0.95
"""Below, an expansion can end up as narrow as what it expands, and would be another block."""
_STEP = 8
_HEADS = {"head", "norm_head"}


def kept_channels(channels: int, width: float) -> int:
    """Channels that a layer keeps: the nearest multiple of 8, at least 8 and no more than it has.

    An image's one or three channels stay.
    """
    return min(channels, max(_STEP, int(channels * width + _STEP / 2) // _STEP * _STEP))


def narrowed(block: Block, width: float) -> Block:
    """The block after uniform channel pruning; classes stay."""
    classes = block.kind in _HEADS
    return replace(
        block,
        in_channels=kept_channels(block.in_channels, width),
        out_channels=block.out_channels if classes else kept_channels(block.out_channels, width),
        mid_channels=kept_channels(block.mid_channels, width),
        se_channels=kept_channels(block.se_channels, width),
    )


class NarrowedSpace:
    """A `SearchSpace` of which every network keeps `width` of its channels."""

    def __init__(self, space: SearchSpace, width: float) -> None:
        self._space = space
        self._width = width
        self.name = space.name
        self.image: ImageShape = space.image
        self.decisions: tuple[Decision, ...] = space.decisions
        self.has_supernet = space.has_supernet
        self.chain = space.chain
        self.resolution = space.resolution
        self.feature_names = space.feature_names

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The space's, with narrowed blocks."""
        return tuple(
            Slot(slot.name, slot.reads, self._narrowing(slot.blocks)) for slot in self._space.slots
        )

    def _narrowing(
        self, blocks: Callable[[tuple[Any, ...]], tuple[Block, ...]]
    ) -> Callable[[tuple[Any, ...]], tuple[Block, ...]]:
        return lambda values: tuple(narrowed(one, self._width) for one in blocks(values))

    def canonical(self, genotypes: IntArray) -> IntArray:
        """The space's."""
        return self._space.canonical(genotypes)

    def valid(self, genotypes: IntArray) -> npt.NDArray[Any]:
        """The space's."""
        return self._space.valid(genotypes)

    def features(self, genotypes: IntArray) -> FloatArray:
        """The space's."""
        return self._space.features(genotypes)

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The space's connections, with narrowed blocks."""
        return tuple(
            Node(narrowed(node.block, self._width), node.inputs)
            for node in self._space.wire(genotype)
        )

    def largest(self) -> IntArray:
        """The space's."""
        return self._space.largest()

    def smallest(self) -> IntArray:
        """The space's."""
        return self._space.smallest()
