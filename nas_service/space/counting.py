"""How many different networks a space has: genotypes that give the same one count once."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from nas_service.space.absence import Absence, absence_of
from nas_service.space.base import IntArray, SearchSpace, n_architectures

_MOST_TRIED = 100_000
"""Genotypes that are looked at one by one."""
_N_CHECKED = 4_096


def n_networks(space: SearchSpace) -> int | None:
    """The number of different valid networks; None where it is not known.

    Counted one by one in a small space. In a large one multiplied out, where each decision that
    may say nothing is taken away by one other decision, and nothing else makes genotypes coincide
    or forbids them, as seen on many networks drawn at random.
    """
    if n_architectures(space) <= _MOST_TRIED:
        every = [range(one.size) for one in space.decisions]
        rows = np.stack(np.meshgrid(*every, indexing="ij"), axis=-1).reshape(-1, len(every))
        return len(np.unique(space.canonical(rows[space.valid(rows)]), axis=0))
    absences = [absence_of(space, place) for place in range(len(space.decisions))]
    if any(not one.never and one.by is None for one in absences):
        return None
    taken_by: dict[int, list[Absence]] = defaultdict(list)
    for one in absences:
        if one.by is not None:
            taken_by[one.by[0]].append(one)
    if any(not absences[place].never for place in taken_by) or not _nothing_else(space, absences):
        return None
    sizes = [one.size for one in space.decisions]
    total = math.prod(
        size for place, size in enumerate(sizes) if absences[place].never and place not in taken_by
    )
    for place, taken in taken_by.items():
        of_values = (
            math.prod(
                1 if one.by is not None and one.by[1][value] else sizes[one.place] for one in taken
            )
            for value in range(sizes[place])
        )
        total *= sum(of_values)
    return total


def _nothing_else(space: SearchSpace, absences: list[Absence]) -> bool:
    """Whether genotypes are changed by `canonical` as absences say, and all are valid."""
    generator = np.random.default_rng(1)
    rows: IntArray = generator.integers(
        0, [one.size for one in space.decisions], (_N_CHECKED, len(space.decisions))
    )
    expected = rows.copy()
    for one in absences:
        expected[one(rows), one.place] = 0
    return bool((space.canonical(rows) == expected).all() and space.valid(rows).all())
