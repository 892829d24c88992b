"""A space around another one: the same decisions, features and connections until said otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from nas_service.space.base import (
    Decision,
    FloatArray,
    IntArray,
    Node,
    Sample,
    SearchSpace,
    Slot,
)

Blocks = tuple[Block, ...]


def unwrapped(space: SearchSpace) -> SearchSpace:
    """The space inside all that was put around it."""
    while isinstance(space, WrappedSpace):
        space = space.inside
    return space


class WrappedSpace:
    """A `SearchSpace` that answers as the one inside it does; subclasses change its blocks."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.name = space.name
        self.sample: Sample = space.sample
        self.decisions: tuple[Decision, ...] = space.decisions
        self.has_supernet = space.has_supernet
        self.chain = space.chain
        self.resolution = space.resolution
        self.feature_names = space.feature_names

    @property
    def inside(self) -> SearchSpace:
        """The space that this one is put around."""
        return self._space

    def changed(self, blocks: Blocks) -> Blocks:
        """What stands in a slot instead of these blocks."""
        return blocks

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The space's, with changed blocks."""
        return tuple(
            Slot(slot.name, slot.reads, self._changing(slot.blocks), slot.junctions)
            for slot in self._space.slots
        )

    def _changing(
        self, blocks: Callable[[tuple[Any, ...]], Blocks]
    ) -> Callable[[tuple[Any, ...]], Blocks]:
        return lambda values: self.changed(blocks(values))

    def canonical(self, genotypes: IntArray) -> IntArray:
        """The space's."""
        return self._space.canonical(genotypes)

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """The space's."""
        return self._space.valid(genotypes)

    def features(self, genotypes: IntArray) -> FloatArray:
        """The space's."""
        return self._space.features(genotypes)

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The space's."""
        return self._space.wire(genotype)

    def largest(self) -> IntArray:
        """The space's."""
        return self._space.largest()

    def smallest(self) -> IntArray:
        """The space's."""
        return self._space.smallest()
