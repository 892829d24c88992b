"""What LiteRT's arena holds, planned from the sizes of blocks: against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lookup_tables.blocks import Block
from lookup_tables.blocks.arena import Arena, padded
from lookup_tables.blocks.convolution import ConvReluBlock
from lookup_tables.blocks.head import HeadBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.blocks.temporal_conv import TemporalConvBlock
from lookup_tables.blocks.temporal_head import TemporalHeadBlock
from lookup_tables.blocks.temporal_separable import TemporalSeparableBlock

PLANNED: list[tuple[Block, int]] = [
    # the sample, unfolded to nine pixels of three channels, and the map that it makes
    (ConvReluBlock(3, 16, 32, 32, kernel=3), 3 * 1024 + 27 * 1024 + 16 * 1024),
    # with a stride the padded copy takes the sample's place: 34 pixels a side
    (ConvReluBlock(3, 16, 32, 32, kernel=3, stride=2), 3 * 34**2 + 27 * 256 + 16 * 256),
    # nine pixels are padded alike on both sides: no copy
    (ConvReluBlock(4, 8, 9, 9, kernel=3, stride=2), 4 * 81 + 36 * 25 + 8 * 25),
    # one pixel and no stride: nothing is unfolded
    (ConvReluBlock(4, 8, 9, 9), 4 * 81 + 8 * 81),
    # the expanded map beside its padded copy
    (
        MbConvBlock(16, 24, 32, 32, kernel=5, stride=2, mid_channels=32),
        32 * 1024 + 32 * 36**2,
    ),
    # its input stays for the sum: 8 channels of 16 pixels beside two maps of 32
    (MbConvBlock(8, 8, 4, 4, kernel=3, mid_channels=32, residual=1), 16 * (8 + 32 + 32)),
    # the gated map is another one, and the gate is there
    (
        MbConvBlock(8, 16, 4, 4, kernel=3, mid_channels=8, se_channels=8),
        max(16 * (8 + 8) + 8, 16 * (8 + 16)),
    ),
    (HeadBlock(8, 10, 4, 4, mid_channels=24), 16 * (8 + 24)),
    # the padded copy of 132 steps, five steps of six channels unfolded, 64 steps of 24
    (TemporalConvBlock(6, 24, 128, 5, stride=2), 6 * 132 + 64 * 30 + 64 * 24),
    (TemporalConvBlock(4, 4, 16, 3, residual=1), 16 * 4 + 16 * 12 + 16 * 4),
    (TemporalSeparableBlock(24, 24, 64, 3, stride=2), 24 * 64 + 24 * 66),
    (TemporalSeparableBlock(24, 24, 32, 3, residual=1), 3 * 24 * 32),
    (TemporalHeadBlock(48, 16, 4), 2 * 48 * 16),
]


@pytest.mark.parametrize(("block", "numbers"), PLANNED, ids=[one.key for one, _ in PLANNED])
def test_the_worst_moment_of_a_block(block: Block, numbers: int) -> None:
    assert block.arena_numbers() == numbers


def test_what_is_kept_is_counted_until_it_is_added() -> None:
    arena = Arena(10)
    arena.keep()
    arena.then(5)  # reads what is kept
    arena.then(20, scratch=2)
    assert arena.peak == 10 + 5 + 20 + 2
    arena.then(30)
    assert arena.peak == 10 + 20 + 30
    arena.add()
    assert arena.peak == 10 + 30 + 30  # the sum is a third one
    arena.then(41)  # what was kept is gone
    assert arena.peak == 30 + 41


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "side"),
    [(32, 3, 1, 1, 32), (32, 3, 2, 1, 34), (9, 3, 2, 1, 9), (16, 3, 1, 2, 16), (32, 9, 2, 1, 40)],
)
def test_padded_copies(size: int, kernel: int, stride: int, dilation: int, side: int) -> None:
    out = int(np.ceil(size / stride))
    assert padded(size, out, kernel, stride, dilation) == side
