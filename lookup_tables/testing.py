"""Contract tests for cost sources: subclass in a test module and provide the two fixtures.

A plug-in author writes `class TestMine(CostSourceContract)` with fixtures `source` and `blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lookup_tables.blocks import Block
from lookup_tables.errors import MissingBlocks
from lookup_tables.source import CostSource


class CostSourceContract:
    """What every `CostSource` keeps."""

    def test_prices_are_positive_and_one_a_block(
        self, source: CostSource, blocks: Sequence[Block]
    ) -> None:
        latency = source.latency_ms(blocks)
        assert latency.shape == (len(blocks),)
        assert np.all(latency > 0)

    def test_a_batch_gives_what_its_members_give_alone(
        self, source: CostSource, blocks: Sequence[Block]
    ) -> None:
        alone = [source.latency_ms([block])[0] for block in blocks]
        assert np.array_equal(source.latency_ms(blocks), np.array(alone))

    def test_no_blocks_cost_nothing(self, source: CostSource) -> None:
        assert source.latency_ms([]).shape == (0,)

    def test_energy_is_positive_or_unknown(
        self, source: CostSource, blocks: Sequence[Block]
    ) -> None:
        energy = source.energy_mj(blocks)
        assert energy.shape == (len(blocks),)
        assert np.all(np.isnan(energy) | (energy > 0))


class TableContract(CostSourceContract):
    """What a source keeps that knows only the blocks that somebody measured."""

    def test_an_unknown_block_is_named(self, source: CostSource) -> None:
        stranger = Block("conv", 3, 7, 11, 13, kernel=9)
        with pytest.raises(MissingBlocks, match=stranger.key):
            source.latency_ms([stranger])
