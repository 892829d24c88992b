"""Cost models: a cost source compiled against a space, so that a batch is a gather and a sum."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibrate import Calibration, block_sums
from lookup_tables.calibration_fit import FLOOR_OF_SUM, N_SUMS
from lookup_tables.errors import MissingBlocks as TableLacks
from lookup_tables.source import CostSource
from lookup_tables.target import Deployment, Target
from nas_service.errors import InvalidSpec, MissingBlocks
from nas_service.space.base import FloatArray, IntArray, SearchSpace, Slot

GRAPH_BYTES = 400
"""About what names and attributes of a block add to a graph's file."""

Price = Callable[[list[Block]], FloatArray]
"""Blocks to `(len(blocks), prices)`."""


MAX_TABLE = 65_536
"""Combinations of decisions that slots are joined up to: fewer lookups, tables that fit a cache."""


class SlotSums:
    """Sums over the blocks of a network, for several prices of a block at once.

    Every combination that a slot's decisions can take is priced once, and slots that read much the
    same decisions are joined; then a batch of networks is a few array lookups and a sum
    (or, with `reduce=np.maximum`, the largest of prices that are not negative).
    """

    def __init__(self, space: SearchSpace, price: Price, *, reduce: np.ufunc = np.add) -> None:
        self._space = space
        self._reduce = reduce
        combinations_of = _combinations(space)
        everything = _distinct(combinations_of)
        position = {block: row for row, block in enumerate(everything)}
        table = price(everything)
        sizes = tuple(decision.size for decision in space.decisions)
        joined: list[tuple[tuple[int, ...], FloatArray]] = []
        for slot, combinations in combinations_of:
            rows = np.zeros((len(combinations), table.shape[1]))
            for number, blocks in enumerate(combinations):
                if blocks:
                    prices = table[[position[block] for block in blocks]]
                    rows[number] = reduce.reduce(prices, axis=0)
            _join(joined, slot.reads, rows, sizes, reduce)
        self._tables = [np.ascontiguousarray(rows) for _, rows in joined]
        # where a network's decisions stand in each table: one product for all tables
        self._places = np.zeros((len(sizes), len(joined)))
        for number, (reads, _) in enumerate(joined):
            stride = 1
            for decision in reversed(reads):
                self._places[decision, number] = stride
                stride *= sizes[decision]

    def __call__(self, genotypes: IntArray) -> FloatArray:
        """Sum of each price over each network's blocks: `(n, d) -> (n, prices)`."""
        rows = self._space.canonical(genotypes)
        places = (rows.astype(np.float64) @ self._places).astype(np.int64)
        total = self._tables[0][places[:, 0]]
        for number, table in enumerate(self._tables[1:], start=1):
            self._reduce(total, table[places[:, number]], out=total)
        return total


def _join(
    joined: list[tuple[tuple[int, ...], FloatArray]],
    reads: tuple[int, ...],
    rows: FloatArray,
    sizes: tuple[int, ...],
    reduce: np.ufunc,
) -> None:
    """Add a slot's table to one of `joined` where the two together stay small, else append it."""
    for number, (other, table) in enumerate(joined):
        union = tuple(sorted({*other, *reads}))
        if math.prod(sizes[one] for one in union) <= MAX_TABLE:
            both = reduce(_spread(other, table, union, sizes), _spread(reads, rows, union, sizes))
            joined[number] = (union, both)
            return
    order = tuple(sorted(reads))
    joined.append((order, _spread(reads, rows, order, sizes)))


def _spread(
    reads: tuple[int, ...], rows: FloatArray, union: tuple[int, ...], sizes: tuple[int, ...]
) -> FloatArray:
    """A table over the decisions `reads` as one over all decisions of `union`."""
    grid = rows.reshape(*(sizes[one] for one in reads), -1)
    by_number = np.argsort(reads, kind="stable")
    grid = grid.transpose(*by_number, len(reads))
    shape = [sizes[one] if one in reads else 1 for one in union]
    wide = np.broadcast_to(
        grid.reshape(*shape, -1), (*(sizes[one] for one in union), grid.shape[-1])
    )
    return np.asarray(wide.reshape(-1, grid.shape[-1]))


@dataclass(frozen=True)
class Structure:
    """What follows from a network's sizes alone, one entry a network."""

    macs: FloatArray
    parameters: FloatArray
    weights: FloatArray
    n_blocks: FloatArray

    def size_bytes(self, deployment: str) -> FloatArray:
        """Estimated size of the shipped file; bf16 is computed in, weights are stored in fp32."""
        quantised = Deployment.parse(deployment).form == "int8"
        per_weight = 1.0 if quantised else 4.0
        graph = 12 * GRAPH_BYTES if quantised else GRAPH_BYTES
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
        self._space = space
        self._source = source
        self._calibration = calibration
        try:
            variants = () if calibration is None else calibration.variants
            self._sums = SlotSums(space, lambda blocks: block_sums(source, blocks, variants))
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

    @property
    def calibration(self) -> Calibration | None:
        """From sums of blocks to whole networks; None where nothing tells."""
        return self._calibration

    def calibrated(self, calibration: Calibration | None) -> CostModel:
        """The same source under another calibration."""
        columns = [() if one is None else one.variants for one in (self._calibration, calibration)]
        if columns[0] != columns[1]:
            return CostModel(self._space, self._source, calibration)
        other = copy.copy(self)
        other._calibration = calibration
        return other

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """Variants of blocks that networks of the space have, sorted."""
        return tuple(sorted({block.variant for block in all_blocks(self._space)}))

    def sums_by_variant(self, genotypes: IntArray) -> FloatArray:
        """Sums with a column for each of `variants` beside: `(n, 3 + len(variants))`."""
        return self._sums_by_variant(genotypes)

    @cached_property
    def _sums_by_variant(self) -> SlotSums:
        return SlotSums(self._space, lambda blocks: block_sums(self._source, blocks, self.variants))

    def sums(self, genotypes: IntArray) -> FloatArray:
        """Sums over each network's blocks as `block_sums` gives them: `(n, 3)`."""
        return np.asarray(self._sums(genotypes)[:, :N_SUMS])

    def energy_mj(self, genotypes: IntArray) -> FloatArray:
        """Energy of each network, the plain sum over its blocks: `(n,)`.

        Raises:
            InvalidSpec: the source does not know the energy of every block.
        """
        return self._energies(genotypes)[:, 0]

    @cached_property
    def _energies(self) -> SlotSums:
        def price(blocks: list[Block]) -> FloatArray:
            energy = self._source.energy_mj(blocks)
            if np.isnan(energy).any():
                raise InvalidSpec(
                    f"the table of {self.target.key} does not know the energy of "
                    f"{int(np.isnan(energy).sum())} of {len(blocks)} blocks; profile the device "
                    "where a meter is at hand",
                    field="objectives",
                )
            return energy[:, None]

        return SlotSums(self._space, price)

    def upper_factor(self, probability: float) -> float:
        """What an estimate is multiplied by to stay above the measured value that often."""
        if self._calibration is None:
            return 1.0
        factor = self._calibration.upper_factor(probability)
        return factor if np.isfinite(factor) else 1.0


class CostBank:
    """Latencies of networks on several targets at once: one lookup serves them all."""

    def __init__(
        self, space: SearchSpace, sources: Sequence[tuple[CostSource, Calibration | None]]
    ) -> None:
        self._models = [CostModel(space, source, one) for source, one in sources]

        def price(blocks: list[Block]) -> FloatArray:
            columns = []
            for source, calibration in sources:
                sums = block_sums(
                    source, blocks, () if calibration is None else calibration.variants
                )
                columns.append(sums[:, 0])
                columns.append(sums[:, 0] if calibration is None else calibration.slopes(sums))
            return np.column_stack(columns)

        self._sums = SlotSums(space, price)
        constants = [0.0 if one is None else one.constant_ms for _, one in sources]
        self._constants = np.array(constants)

    @property
    def targets(self) -> list[Target]:
        """In the order of the columns."""
        return [model.target for model in self._models]

    def latency_ms(self, genotypes: IntArray) -> FloatArray:
        """Estimated latency of each network on each target: `(n, targets)`."""
        sums = self._sums(genotypes)
        found = sums[:, 1::2] + self._constants
        return np.asarray(np.maximum(found, FLOOR_OF_SUM * sums[:, 0::2]))


def all_blocks(space: SearchSpace) -> list[Block]:
    """Every distinct block that some network of the space has, sorted."""
    return _distinct(_combinations(space))


def block_counts(space: SearchSpace, genotypes: IntArray) -> FloatArray:
    """How often each network has each block of `all_blocks`: `(n, d) -> (n, blocks)`."""
    rows = space.canonical(genotypes)
    position = {block: column for column, block in enumerate(all_blocks(space))}
    counts = np.zeros((len(rows), len(position)))
    for slot in space.slots:
        chosen, where = np.unique(rows[:, list(slot.reads)], axis=0, return_inverse=True)
        for number, combination in enumerate(chosen):
            values = (
                space.decisions[i].values[j] for i, j in zip(slot.reads, combination, strict=True)
            )
            for block in slot.blocks(tuple(values)):
                counts[where.ravel() == number, position[block]] += 1
    return counts


_Combinations = list[tuple[Slot, list[tuple[Block, ...]]]]


def _distinct(combinations: _Combinations) -> list[Block]:
    return sorted({b for _, rows in combinations for blocks in rows for b in blocks})


def _combinations(space: SearchSpace) -> _Combinations:
    """For each slot its blocks under every combination of the decisions that it reads."""
    return [
        (slot, [slot.blocks(c) for c in product(*(space.decisions[i].values for i in slot.reads))])
        for slot in space.slots
    ]
