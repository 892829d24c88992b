"""How many products the networks of a space take, slot by slot: a feature that predictors read."""

from __future__ import annotations

import numpy as np

from nas_service.space.base import FloatArray, IntArray, SearchSpace


class LogProducts:
    """The logarithm of one and all multiply-accumulates of canonical genotypes: `(n, d) -> (n,)`.

    Each slot is counted once for every combination of the values that it reads.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._tables: list[tuple[list[int], FloatArray]] = []
        for slot in space.slots:
            known = [space.decisions[place].values for place in slot.reads]
            table = np.zeros([len(one) for one in known])
            for index in np.ndindex(table.shape):
                values = tuple(one[i] for one, i in zip(known, index, strict=True))
                table[index] = sum(block.macs for block in slot.blocks(values))
            self._tables.append((list(slot.reads), table))

    def __call__(self, rows: IntArray) -> FloatArray:
        total = np.zeros(len(rows))
        for reads, table in self._tables:
            total += table[tuple(rows[:, reads].T)] if reads else float(table)
        return np.log1p(total)
