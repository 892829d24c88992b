"""A space whose networks lost a share of their channels: the same decisions, narrower blocks."""

from __future__ import annotations

from nas_service.space.base import IntArray, Node, SearchSpace
from nas_service.space.wrapped import Blocks, WrappedSpace

MIN_WIDTH, MAX_WIDTH = 0.75, 0.95
"""Below, an expansion can end up as narrow as what it expands, and would be another block."""


class NarrowedSpace(WrappedSpace):
    """A `SearchSpace` of which every network keeps `width` of its channels."""

    def __init__(self, space: SearchSpace, width: float) -> None:
        super().__init__(space)
        self._width = width

    def changed(self, blocks: Blocks) -> Blocks:
        """The blocks, narrowed."""
        return tuple(one.narrowed(self._width) for one in blocks)

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The space's connections, with narrowed blocks."""
        return tuple(
            Node(node.block.narrowed(self._width), node.inputs)
            for node in self._space.wire(genotype)
        )
