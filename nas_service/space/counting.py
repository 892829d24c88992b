"""How many different networks a space has: genotypes that give the same one count once."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
    sizes = [one.size for one in space.decisions]
    if n_architectures(space) <= _MOST_TRIED:
        chosen = [place for place, size in enumerate(sizes) if size > 1]
        rows = np.zeros((n_architectures(space), len(sizes)), dtype=np.int64)
        shape = [sizes[place] for place in chosen]
        rows[:, chosen] = np.stack(np.unravel_index(np.arange(len(rows)), shape or [1]), axis=-1)[
            :, : len(chosen)
        ]
        return len(np.unique(space.canonical(rows[space.valid(rows)]), axis=0))
    found = [absence_of(space, place) for place in range(len(sizes))]
    absences = {place: one for place, one in enumerate(found) if one is not None}
    governing = {one.by for one in absences.values()}
    if governing & set(absences) or not _nothing_else(space, absences):
        return None
    free = [
        size for place, size in enumerate(sizes) if place not in absences and place not in governing
    ]
    total = math.prod(free)
    for by in governing:
        taken = {place: one for place, one in absences.items() if one.by == by}
        of_values = (
            math.prod(1 if one.taking[value] else sizes[place] for place, one in taken.items())
            for value in range(sizes[by])
        )
        total *= sum(of_values)
    return total


def _nothing_else(space: SearchSpace, absences: Mapping[int, Absence]) -> bool:
    """Whether genotypes are changed by `canonical` as absences say, and all are valid."""
    generator = np.random.default_rng(1)
    sizes = [one.size for one in space.decisions]
    rows: IntArray = generator.integers(0, sizes, (_N_CHECKED, len(sizes)))
    expected = rows.copy()
    for place, one in absences.items():
        expected[one(rows), place] = one.index
    return bool((space.canonical(rows) == expected).all() and space.valid(rows).all())
