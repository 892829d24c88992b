"""Cost models: a cost source compiled against a space, so that a batch is a gather and a sum."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibrate import Calibration, block_sums
from lookup_tables.calibration_fit import FLOOR_OF_SUM, N_SUMS
from lookup_tables.errors import MissingBlocks as TableLacks
from lookup_tables.ratio import Ratio
from lookup_tables.source import CostSource
from lookup_tables.target import Deployment, Target
from nas_service.errors import InvalidSpec, MissingBlocks
from nas_service.search.slot_sums import (
    Item,
    SlotSums,
    SlotTable,
    blocks_and_junctions,
    blocks_of,
    every_item,
)
from nas_service.space.base import FloatArray, IntArray, SearchSpace

GRAPH_BYTES = 400
"""About what names and attributes of a block add to a graph's file."""


@dataclass(frozen=True)
class Structure:
    """What follows from a network's sizes alone, one entry a network."""

    macs: FloatArray
    parameters: FloatArray
    weights: FloatArray
    n_blocks: FloatArray

    def size_bytes(self, deployment: Deployment) -> FloatArray:
        """Estimated size of the shipped file; bf16 is computed in, weights are stored in fp32."""
        quantised = deployment.form == "int8"
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
    """Latency and energy of networks of a space on one target.

    `ratios` are the target's for quantities beside latency; see `LookupTable`.

    Raises:
        MissingBlocks: the source lacks blocks of the space; the error lists them.
    """

    def __init__(
        self,
        space: SearchSpace,
        source: CostSource,
        calibration: Calibration | None,
        ratios: Mapping[str, Ratio] = MappingProxyType({}),
    ) -> None:
        self._space = space
        self._source = source
        self._calibration = calibration
        self._ratios = ratios
        try:
            self._sums = _sums_of(space, source, _columns(calibration))
        except TableLacks as error:
            raise MissingBlocks(
                f"{error}; profile the device for space {space.name} at {space.sample.as_dict()}",
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

    def tables(self) -> tuple[list[SlotTable], float]:
        """Latency as a sum: what each slot adds to it, and what every network pays beside."""
        columns = _columns(self._calibration)

        def price(items: list[Item]) -> FloatArray:
            sums = _item_sums(self._source, items, columns)
            one = sums[:, 0] if self._calibration is None else self._calibration.slopes(sums)
            return np.asarray(one)[:, None]

        items = blocks_and_junctions if columns else blocks_of
        constant = 0.0 if self._calibration is None else self._calibration.constant_ms
        return SlotTable.priced(self._space, price, items=items), constant

    @property
    def calibration(self) -> Calibration | None:
        """From sums of blocks to whole networks; None where nothing tells."""
        return self._calibration

    def calibrated(self, calibration: Calibration | None) -> CostModel:
        """The same source under another calibration."""
        if _columns(self._calibration) != _columns(calibration):
            return CostModel(self._space, self._source, calibration, self._ratios)
        other = copy.copy(self)
        other._calibration = calibration
        return other

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """Variants of blocks that networks of the space have, sorted."""
        return tuple(sorted({one.variant for one in self._items if isinstance(one, Block)}))

    @cached_property
    def junctions(self) -> tuple[str, ...]:
        """Names of the junctions that networks of the space have, sorted."""
        return tuple(sorted(one for one in self._items if isinstance(one, str)))

    def sums_by_column(self, genotypes: IntArray) -> FloatArray:
        """Sums with columns for each of `variants`, then `junctions`: `(n, 3 + columns)`."""
        return self._sums_by_column(genotypes)

    @cached_property
    def _sums_by_column(self) -> SlotSums:
        return _sums_of(self._space, self._source, (*self.variants, *self.junctions))

    def parts(self) -> FloatArray:
        """What a calibration reads of every block and junction alone, in the same columns."""
        return _item_sums(self._source, self._items, (*self.variants, *self.junctions))

    @cached_property
    def _items(self) -> list[Item]:
        return every_item(self._space, blocks_and_junctions)

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

    @cached_property
    def knows_energy(self) -> bool:
        """Whether the source knows the energy of every block of the space."""
        blocks = [one for one in self._items if isinstance(one, Block)]
        return not np.isnan(self._source.energy_mj(blocks)).any()

    def ratio(self, quantity: str) -> float:
        """What estimates of a quantity are multiplied by, as whole networks were measured."""
        return self._ratios[quantity].ratio if quantity in self._ratios else 1.0

    def upper_factor(self, probability: float, quantity: str = "latency_ms") -> float:
        """What an estimate is multiplied by to stay above the measured value that often.

        1 where no network was measured: then nothing tells.
        """
        fit = self._calibration if quantity == "latency_ms" else self._ratios.get(quantity)
        factor = np.inf if fit is None else fit.upper_factor(probability)
        return factor if np.isfinite(factor) else 1.0


class CostBank:
    """Latencies of networks on several targets at once: one lookup serves them all."""

    def __init__(
        self, space: SearchSpace, sources: Sequence[tuple[CostSource, Calibration | None]]
    ) -> None:
        self._models = [CostModel(space, source, one) for source, one in sources]

        def price(items: list[Item]) -> FloatArray:
            columns = []
            for source, calibration in sources:
                sums = _item_sums(source, items, _columns(calibration))
                columns.append(sums[:, 0])
                columns.append(sums[:, 0] if calibration is None else calibration.slopes(sums))
            return np.column_stack(columns)

        self._sums = SlotSums(space, price, items=blocks_and_junctions)
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


def _columns(calibration: Calibration | None) -> tuple[str, ...]:
    """Variants and junctions that a calibration prices."""
    return () if calibration is None else calibration.columns


def _sums_of(space: SearchSpace, source: CostSource, columns: tuple[str, ...]) -> SlotSums:
    items = blocks_and_junctions if columns else blocks_of
    return SlotSums(space, lambda items: _item_sums(source, items, columns), items=items)


def _item_sums(source: CostSource, items: Sequence[Item], columns: Sequence[str]) -> FloatArray:
    """What a calibration reads of blocks and junctions: `(n, 3 + columns)`.

    A junction has 1 in its own column, and costs nothing beside.
    """
    sums = np.zeros((len(items), N_SUMS + len(columns)))
    of_blocks = [row for row, one in enumerate(items) if isinstance(one, Block)]
    blocks = [one for one in items if isinstance(one, Block)]
    sums[of_blocks] = block_sums(source, blocks, columns)
    for row, one in enumerate(items):
        if isinstance(one, str) and one in columns:
            sums[row, N_SUMS + columns.index(one)] = 1.0
    return sums


def all_blocks(space: SearchSpace) -> list[Block]:
    """Every distinct block that some network of the space has, sorted."""
    return sorted(one for one in every_item(space, blocks_of) if isinstance(one, Block))


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
