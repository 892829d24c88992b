"""Sums over the blocks of networks in batches: every slot is priced once, then looked up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lookup_tables.blocks import Block
from nas_service.space.base import FloatArray, IntArray, SearchSpace, Slot

Item = Block | str
"""A block, or the name of a junction."""
Price = Callable[[list[Any]], FloatArray]
"""Items to `(len(items), prices)`."""
Items = Callable[[Slot, tuple[Any, ...]], tuple[Item, ...]]
"""What is priced of a slot under values of its decisions."""

MAX_TABLE = 65_536
"""Combinations of decisions that slots are joined up to: fewer lookups, tables that fit a cache."""


def blocks_of(slot: Slot, values: tuple[Any, ...]) -> tuple[Item, ...]:
    """The blocks alone."""
    return slot.blocks(values)


def blocks_and_junctions(slot: Slot, values: tuple[Any, ...]) -> tuple[Item, ...]:
    """The blocks, and the names of the junctions beside them."""
    return (*slot.blocks(values), *slot.junctions(values))


class SlotSums:
    """Sums over the blocks of a network, for several prices of a block at once.

    `items` says what is priced of a slot: its blocks, unless told.

    Every combination that a slot's decisions can take is priced once, and slots that read much the
    same decisions are joined; then a batch of networks is a few array lookups and a sum
    (or, with `reduce=np.maximum`, the largest of prices that are not negative).
    """

    def __init__(
        self,
        space: SearchSpace,
        price: Price,
        *,
        reduce: np.ufunc = np.add,
        items: Items = blocks_of,
    ) -> None:
        self._space = space
        self._reduce = reduce
        sizes = tuple(decision.size for decision in space.decisions)
        joined: list[tuple[tuple[int, ...], FloatArray]] = []
        for reads, rows in _by_slot(space, price, items, reduce):
            _join(joined, reads, rows, sizes, reduce)
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


@dataclass(frozen=True)
class SlotTable:
    """What a slot costs, under every combination `(c,)` of the values of the decisions it reads.

    Decisions are in the order of the space, the last one's values next to each other.
    """

    reads: tuple[int, ...]
    prices: FloatArray

    @staticmethod
    def priced(space: SearchSpace, price: Price, *, items: Items = blocks_of) -> list[SlotTable]:
        """Of every slot; `price` gives one number an item."""
        sizes = tuple(decision.size for decision in space.decisions)
        found = []
        for reads, rows in _by_slot(space, price, items, np.add):
            order = tuple(sorted(reads))
            found.append(SlotTable(order, _spread(reads, rows, order, sizes)[:, 0]))
        return found

    @staticmethod
    def counted(space: SearchSpace, name: str) -> list[SlotTable]:
        """Of every slot, what its blocks count: `macs` or `parameters`."""

        def price(blocks: list[Block]) -> FloatArray:
            return np.array([[float(getattr(one, name))] for one in blocks])

        return SlotTable.priced(space, price)


def _by_slot(
    space: SearchSpace, price: Price, items: Items, reduce: np.ufunc
) -> Iterator[tuple[tuple[int, ...], FloatArray]]:
    """Every slot's prices `(combinations, prices)` with the decisions that it reads."""
    combinations_of = _combinations(space, items)
    everything = _distinct(combinations_of)
    position = {item: row for row, item in enumerate(everything)}
    table = price(everything)
    for slot, combinations in combinations_of:
        rows = np.zeros((len(combinations), table.shape[1]))
        for number, chosen in enumerate(combinations):
            if chosen:
                prices = table[[position[item] for item in chosen]]
                rows[number] = reduce.reduce(prices, axis=0)
        yield slot.reads, rows


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


def every_item(space: SearchSpace, items: Items) -> list[Item]:
    """All distinct items that some network of the space has, in the order of slots."""
    return _distinct(_combinations(space, items))


_Combinations = list[tuple[Slot, list[tuple[Item, ...]]]]


def _distinct(combinations: _Combinations) -> list[Item]:
    return list(dict.fromkeys(one for _, rows in combinations for items in rows for one in items))


def _combinations(space: SearchSpace, items: Items) -> _Combinations:
    """For each slot its items under every combination of the decisions that it reads."""
    return [
        (slot, [items(slot, c) for c in product(*(space.decisions[i].values for i in slot.reads))])
        for slot in space.slots
    ]
