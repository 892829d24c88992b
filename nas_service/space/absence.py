"""Which decisions say nothing of a network, as no layer that is there reads them.

Found by looking at what `canonical` does, so that it is the same for every space: a decision says
nothing of a genotype where another value of it gives the same network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_service.space.base import IntArray
from nas_service.space.sampling import Choices

BoolArray = npt.NDArray[np.bool_]
_N_PROBED = 1024


@dataclass(frozen=True)
class Absence:
    """When the decision at `place` says nothing.

    Where one other decision alone tells, `by` is its position and which of its values `(k,)` take
    the layers away; None where it takes more than that, and where it never happens.
    """

    place: int
    by: tuple[int, BoolArray] | None
    never: bool
    _space: Choices

    def __call__(self, rows: IntArray) -> BoolArray:
        """Of which canonical genotypes it says nothing: `(n, d) -> (n,)`."""
        if self.never:
            return np.zeros(len(rows), dtype=np.bool_)
        if self.by is not None:
            place, taking = self.by
            return np.asarray(taking[rows[:, place]])
        return _says_nothing(self._space, rows, self.place)


def absence_of(space: Choices, place: int) -> Absence:
    """When a decision of a space says nothing, as seen on many networks drawn at random."""
    generator = np.random.default_rng(0)
    sizes = [decision.size for decision in space.decisions]
    rows = space.canonical(generator.integers(0, sizes, (_N_PROBED, len(sizes))))
    absent = _says_nothing(space, rows, place)
    if not absent.any():
        return Absence(place, None, never=True, _space=space)
    for other, size in enumerate(sizes):
        of_value = [absent[rows[:, other] == value] for value in range(size)]
        if other != place and all(len(one) and one.all() == one.any() for one in of_value):
            taking = np.array([bool(one[0]) for one in of_value])
            return Absence(place, (other, taking), never=False, _space=space)
    return Absence(place, None, never=False, _space=space)


def _says_nothing(space: Choices, rows: IntArray, place: int) -> BoolArray:
    size = space.decisions[place].size
    if size == 1:  # no other value to compare with
        return np.zeros(len(rows), dtype=np.bool_)
    networks = []
    for value in range(size):
        changed = np.array(rows)
        changed[:, place] = value
        networks.append(space.canonical(changed))
    return np.asarray(np.all([(one == networks[0]).all(axis=1) for one in networks[1:]], axis=0))
