"""Cost models: a cost source compiled against a space, so that a batch is a gather and a sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibrate import N_SUMS, Calibration, block_sums
from lookup_tables.errors import MissingBlocks as TableLacks
from lookup_tables.source import CostSource
from lookup_tables.target import Target
from nas_service.errors import MissingBlocks
from nas_service.space.base import FloatArray, IntArray, SearchSpace, Slot

GRAPH_BYTES = 400
"""About what names and attributes of a block add to a graph's file."""

Price = Callable[[list[Block]], FloatArray]
"""Blocks to `(len(blocks), prices)`."""


class SlotSums:
    """Sums over the blocks of a network, for several prices of a block at once.

    Every combination that a slot's decisions can take is priced once; then a batch of networks
    is one array lookup a slot and a sum.
    """

    def __init__(self, space: SearchSpace, price: Price) -> None:
        self._space = space
        self._slots: list[tuple[IntArray, IntArray, FloatArray]] = []
        combinations_of = _combinations(space)
        everything = _distinct(combinations_of)
        position = {block: row for row, block in enumerate(everything)}
        table = price(everything)
        for slot, combinations in combinations_of:
            rows = np.zeros((len(combinations), table.shape[1]))
            for number, blocks in enumerate(combinations):
                if blocks:
                    rows[number] = table[[position[block] for block in blocks]].sum(axis=0)
            sizes = np.array([space.decisions[i].size for i in slot.reads], dtype=np.int64)
            strides = np.cumprod(np.concatenate([[1], sizes[::-1]]))[:-1][::-1].astype(np.int64)
            self._slots.append((np.array(slot.reads, dtype=np.int64), strides, rows))

    def __call__(self, genotypes: IntArray) -> FloatArray:
        """Sum of each price over each network's blocks: `(n, d) -> (n, prices)`."""
        rows = self._space.canonical(genotypes)
        total = np.zeros((len(rows), self._slots[0][2].shape[1]))
        for reads, strides, values in self._slots:
            total += values[rows[:, reads] @ strides]
        return total


@dataclass(frozen=True)
class Structure:
    """What follows from a network's sizes alone, one entry a network."""

    macs: FloatArray
    parameters: FloatArray
    weights: FloatArray
    n_blocks: FloatArray

    def size_bytes(self, precision: str) -> FloatArray:
        """Estimated size of the shipped graph."""
        per_weight = {"fp32": 4.0, "int8": 1.0}[precision]
        graph = GRAPH_BYTES if precision == "fp32" else 12 * GRAPH_BYTES
        return self.weights * per_weight + self.n_blocks * graph


class StructureModel:
    """MACs, parameters, exported weights and number of blocks of networks of a space."""

    def __init__(self, space: SearchSpace) -> None:
        self._sums = SlotSums(
            space,
            lambda blocks: np.array(
                [[b.macs, b.parameters, b.weights, 1] for b in blocks], dtype=np.float64
            ),
        )

    def __call__(self, genotypes: IntArray) -> Structure:
        """Structure of each network: `(n, d)`."""
        return Structure(*self._sums(genotypes).T)


class CostModel:
    """Latency of networks of a space on one target.

    Raises:
        MissingBlocks: the source lacks blocks of the space; the error lists them.
    """

    def __init__(
        self, space: SearchSpace, source: CostSource, calibration: Calibration | None
    ) -> None:
        self._source = source
        self._calibration = calibration
        try:
            self._sums = SlotSums(space, lambda blocks: block_sums(source, blocks))
        except TableLacks as error:
            raise MissingBlocks(
                f"{error}; profile the device for space {space.name} at {space.image.as_dict()}",
                missing_blocks=list(error.keys),
            ) from error

    @property
    def target(self) -> Target:
        """The target that the costs hold for."""
        return self._source.target

    def latency_ms(self, genotypes: IntArray) -> FloatArray:
        """Estimated latency of each network, calibrated where a calibration is there: `(n,)`."""
        sums = self._sums(genotypes)
        if self._calibration is None:
            return np.asarray(sums[:, 0])
        return self._calibration.estimate_ms(sums)

    def sums(self, genotypes: IntArray) -> FloatArray:
        """Sums over each network's blocks as `block_sums` gives them: `(n, 3)`."""
        return self._sums(genotypes).reshape(-1, N_SUMS)

    def upper_factor(self, probability: float) -> float:
        """What an estimate is multiplied by to stay above the measured value that often."""
        if self._calibration is None:
            return 1.0
        factor = self._calibration.upper_factor(probability)
        return factor if np.isfinite(factor) else 1.0


def all_blocks(space: SearchSpace) -> list[Block]:
    """Every distinct block that some network of the space has, sorted."""
    return _distinct(_combinations(space))


_Combinations = list[tuple[Slot, list[tuple[Block, ...]]]]


def _distinct(combinations: _Combinations) -> list[Block]:
    return sorted({b for _, rows in combinations for blocks in rows for b in blocks})


def _combinations(space: SearchSpace) -> _Combinations:
    """For each slot its blocks under every combination of the decisions that it reads."""
    return [
        (slot, [slot.blocks(c) for c in product(*(space.decisions[i].values for i in slot.reads))])
        for slot in space.slots
    ]
