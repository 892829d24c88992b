"""How many products the networks of a space take, slot by slot: read by predictors and rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

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


_counted: WeakKeyDictionary[SearchSpace, dict[str, SlotProducts]] = WeakKeyDictionary()
"""Tables of a space's slots by name, each counted once."""


class Products:
    """Multiply-accumulates of canonical genotypes: `(n, d) -> (n,)`; of some `slots`, or of all.

    Slots are counted when it is first asked.
    """

    def __init__(self, space: SearchSpace, slots: Collection[str] | None = None) -> None:
        self._space = space
        self._names = slots

    @cached_property
    def slots(self) -> tuple[SlotProducts, ...]:
        """The tables of the slots."""
        known = _counted.setdefault(self._space, {})
        found = []
        for one in self._space.slots:
            if self._names is None or one.name in self._names:
                if one.name not in known:
                    known[one.name] = SlotProducts.of(self._space, one)
                found.append(known[one.name])
        return tuple(found)

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
