"""How many products the networks of a space take, slot by slot: read by predictors and rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from nas_service.space.base import FloatArray, IntArray, SearchSpace, Slot


@dataclass(frozen=True)
class SlotProducts:
    """Multiply-accumulates of a slot under every combination of the values that it reads."""

    reads: tuple[int, ...]
    table: FloatArray

    @staticmethod
    def of(space: SearchSpace, slot: Slot) -> SlotProducts:
        """Counted once for every combination."""
        known = [space.decisions[place].values for place in slot.reads]
        table = np.zeros([len(one) for one in known])
        for index in np.ndindex(table.shape):
            values = tuple(one[i] for one, i in zip(known, index, strict=True))
            table[index] = sum(block.macs for block in slot.blocks(values))
        return SlotProducts(slot.reads, table)

    def __call__(self, rows: IntArray) -> FloatArray:
        """Of canonical genotypes: `(n, d) -> (n,)`."""
        if not self.reads:
            return np.full(len(rows), float(self.table))
        return np.asarray(self.table[tuple(rows[:, list(self.reads)].T)])


class Products:
    """Multiply-accumulates of canonical genotypes: `(n, d) -> (n,)`; of some `slots`, or of all."""

    def __init__(self, space: SearchSpace, slots: Collection[str] | None = None) -> None:
        self.slots = tuple(
            SlotProducts.of(space, one) for one in space.slots if slots is None or one.name in slots
        )

    def __call__(self, rows: IntArray) -> FloatArray:
        total = np.zeros(len(rows))
        for one in self.slots:
            total += one(rows)
        return total


class LogProducts:
    """The logarithm of one and all multiply-accumulates: `(n, d) -> (n,)`."""

    def __init__(self, space: SearchSpace) -> None:
        self._products = Products(space)

    def __call__(self, rows: IntArray) -> FloatArray:
        return np.log1p(self._products(rows))
