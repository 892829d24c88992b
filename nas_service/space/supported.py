"""A space without the architectures that a device cannot run, known from operators alone."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from nas_service.errors import InvalidSpec
from nas_service.space.base import IntArray, SearchSpace, Slot
from nas_service.space.wrapped import Blocks, WrappedSpace

BoolArray = npt.NDArray[np.bool_]


def operators_of(block: Block) -> frozenset[str]:
    """The ONNX operators of a block; they depend on its form alone, not on its sizes."""
    return _operators(block.small())


@cache
def _operators(block: Block) -> frozenset[str]:
    from lookup_tables.graphs import block_graph  # brings onnx

    return frozenset(node.op_type for node in block_graph(block).graph.node)


def supported(space: SearchSpace, lacking: Collection[str]) -> SearchSpace:
    """The architectures of `space` that do without the ONNX operators `lacking`.

    Raises:
        InvalidSpec: there are none; the error names the operators that all of them need.
    """
    return SupportedSpace(space, frozenset(lacking)) if lacking else space


class SupportedSpace(WrappedSpace):
    """A `SearchSpace` with the same decisions; networks that cannot run are not `valid`.

    Blocks that cannot run are in no slot: they are neither measured nor asked of a table.
    """

    def __init__(self, space: SearchSpace, lacking: frozenset[str]) -> None:
        super().__init__(space)
        self.lacking = lacking
        self._masks = [(list(slot.reads), self._mask(slot)) for slot in space.slots]
        self._ends = self._nearest(space.smallest()), self._nearest(space.largest())

    def _runs(self, block: Block) -> bool:
        return not (operators_of(block) & self.lacking)

    def _mask(self, slot: Slot) -> BoolArray:
        """Whether a slot's blocks run, by the indices of the decisions that it reads."""
        values = [self.decisions[one].values for one in slot.reads]
        runs = [all(map(self._runs, slot.blocks(combination))) for combination in product(*values)]
        return np.array(runs, dtype=np.bool_).reshape([len(one) for one in values])

    def changed(self, blocks: Blocks) -> Blocks:
        """The blocks that run."""
        return tuple(one for one in blocks if self._runs(one))

    def runs(self, genotypes: IntArray) -> BoolArray:
        """Which networks have no operator that is lacking: `(n, d) -> (n,)`."""
        return np.asarray(self._n_lacking(genotypes) == 0)

    def _n_lacking(self, genotypes: IntArray) -> IntArray:
        rows = self.canonical(genotypes)
        found = np.zeros(len(rows), dtype=np.int64)
        for reads, mask in self._masks:
            found += ~mask[tuple(rows[:, reads].T)]
        return found

    def valid(self, genotypes: IntArray) -> BoolArray:
        """Networks of the space that run."""
        return np.asarray(super().valid(genotypes) & self.runs(genotypes))

    def largest(self) -> IntArray:
        """The space's, with the decisions changed that it cannot run with."""
        return self._ends[1].copy()

    def smallest(self) -> IntArray:
        """The space's, with the decisions changed that it cannot run with."""
        return self._ends[0].copy()

    def _nearest(self, genotype: IntArray) -> IntArray:
        """`genotype` changed decision by decision until it runs."""
        row = self.canonical(genotype[None, :])
        while lacking := int(self._n_lacking(row)[0]):
            changed = np.concatenate(
                [
                    self._with(row, place, index)
                    for place, decision in enumerate(self.decisions)
                    for index in range(decision.size)
                ]
            )
            changed = changed[self._space.valid(changed)]
            left = self._n_lacking(changed)
            if not left.size or int(left.min()) >= lacking:
                needed = ", ".join(sorted(self.lacking))
                raise InvalidSpec(
                    f"no network of space {self.name} does without {needed}, which is lacking",
                    field="device",
                )
            row = self.canonical(changed[[int(left.argmin())]])
        return np.asarray(row[0])

    @staticmethod
    def _with(row: IntArray, place: int, index: int) -> IntArray:
        changed = row.copy()
        changed[:, place] = index
        return changed
