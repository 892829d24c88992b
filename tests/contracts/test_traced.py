"""Families of traced operators keep the contracts of blocks and of their torch modules."""

from __future__ import annotations

import pytest

from lookup_tables.blocks import Block
from lookup_tables.blocks.traced_conv import TracedConvBlock
from lookup_tables.blocks.traced_linear import TracedLinearBlock
from lookup_tables.blocks.traced_pointwise import MOVE, SIMPLE, TracedPointwiseBlock
from lookup_tables.blocks.traced_pool import TracedPoolBlock
from lookup_tables.blocks.traced_product import TracedProductBlock
from lookup_tables.testing import BlockContract
from nas_service.networks.testing import BlockModuleContract

BLOCKS = (
    TracedConvBlock(16, 24, 1, 12, 10, 3, 3, 2, 2, 1, 1, relu=1),
    TracedConvBlock(16, 16, 16, 12, 12, 5, 5, 1, 1, 2, 2),
    TracedConvBlock(16, 32, 4, 9, 9, 3, 3, 1, 1, 2, 2, dilation=2),
    TracedConvBlock(6, 12, 1, 1, 100, 1, 5, 1, 2, 0, 2),
    TracedLinearBlock(7, 24, 16, relu=1),
    TracedLinearBlock(1, 512, 10),
    TracedProductBlock(3, 17, 64, 17),
    *(TracedPointwiseBlock(operation, 1, 24, 30) for operation in range(SIMPLE, MOVE + 1)),
    TracedPointwiseBlock(SIMPLE, 2, 24, 30),
    TracedPoolBlock(24, 16, 16, 3, 3, 2, 1, largest=1),
    TracedPoolBlock(24, 16, 16, 2, 2, 2),
    TracedPoolBlock(24, 7, 5, 7, 5),
)


@pytest.fixture(params=BLOCKS, ids=lambda one: one.key)
def block(request: pytest.FixtureRequest) -> Block:
    found: Block = request.param
    return found


class TestTracedBlocks(BlockContract):
    """All of them."""


class TestTracedModules(BlockModuleContract):
    """All of them."""
