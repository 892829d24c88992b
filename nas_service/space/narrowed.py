"""A space whose networks lost a share of their channels: the same decisions, narrower blocks."""

from __future__ import annotations

from dataclasses import replace

from lookup_tables.blocks import Block
from nas_service.space.base import IntArray, Node, SearchSpace
from nas_service.space.wrapped import Blocks, WrappedSpace

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


class NarrowedSpace(WrappedSpace):
    """A `SearchSpace` of which every network keeps `width` of its channels."""

    def __init__(self, space: SearchSpace, width: float) -> None:
        super().__init__(space)
        self._width = width

    def changed(self, blocks: Blocks) -> Blocks:
        """The blocks, narrowed."""
        return tuple(narrowed(one, self._width) for one in blocks)

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The space's connections, with narrowed blocks."""
        return tuple(
            Node(narrowed(node.block, self._width), node.inputs)
            for node in self._space.wire(genotype)
        )
