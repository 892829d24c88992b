"""Which decisions say nothing of a network, as no layer that is there reads them.

Found by looking at what `canonical` does, so that it is the same for every space: a decision says
nothing of a genotype where every other value of it gives the same network. Known only where one
other decision alone tells, as a stage's depth does: what layers of several stages read, and the
edges of a cell, always count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_service.space.base import IntArray, SearchSpace

BoolArray = npt.NDArray[np.bool_]
_N_PROBED = 1024


@dataclass(frozen=True)
class Absence:
    """A decision says nothing where that at `by` has one of the values `taking` `(k,)`.

    It has `index` in canonical genotypes then.
    """

    by: int
    taking: BoolArray
    index: int

    def __call__(self, rows: IntArray) -> BoolArray:
        """Of which canonical genotypes it says nothing: `(n, d) -> (n,)`."""
        return np.asarray(self.taking[rows[:, self.by]])


def absence_of(space: SearchSpace, place: int) -> Absence | None:
    """When a decision of a space says nothing, as seen on many networks drawn at random.

    None where that is not seen, or more than one decision tells.
    """
    if space.decisions[place].size == 1:
        return _by_slots(space, place)
    generator = np.random.default_rng(0)
    sizes = [decision.size for decision in space.decisions]
    rows = space.canonical(generator.integers(0, sizes, (_N_PROBED, len(sizes))))
    absent = _says_nothing(space, rows, place)
    indices = np.unique(rows[absent, place])
    if len(indices) != 1:
        return None
    for other, size in enumerate(sizes):
        of_value = [absent[rows[:, other] == value] for value in range(size)]
        if other != place and all(len(one) and one.all() == one.any() for one in of_value):
            taking = np.array([bool(one[0]) for one in of_value])
            return Absence(other, taking, int(indices[0]))
    return None


def _says_nothing(space: SearchSpace, rows: IntArray, place: int) -> BoolArray:
    networks = []
    for value in range(space.decisions[place].size):
        changed = np.array(rows)
        changed[:, place] = value
        networks.append(space.canonical(changed))
    return np.asarray(np.all([(one == networks[0]).all(axis=1) for one in networks[1:]], axis=0))


def _by_slots(space: SearchSpace, place: int) -> Absence | None:
    """Of a decision with one value, where none is another: when no slot with it has blocks."""
    readers = [slot for slot in space.slots if place in slot.reads]
    if not readers:
        return None
    row = space.canonical(space.largest()[None, :])[0]
    for other in sorted(set.intersection(*(set(slot.reads) for slot in readers)) - {place}):
        taking = []
        for value in range(space.decisions[other].size):
            row_of = row.copy()
            row_of[other] = value
            blocks = [
                slot.blocks(tuple(space.decisions[i].values[row_of[i]] for i in slot.reads))
                for slot in readers
            ]
            taking.append(not any(blocks))
        if any(taking) and not all(taking):
            return Absence(other, np.array(taking), 0)
    return None
