"""The two levels of a described space with stages: which layers stand for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas_service.space.base import IntArray
from nas_service.space.described.document import Document
from nas_service.space.described.places import Place
from nas_service.space.stages import BoolArray, Stage


def stages_in(document: Document, positions: Mapping[str, int]) -> tuple[Stage, ...]:
    """Stages with sizes that two layers or more decide for themselves."""
    found = []
    for name in document.stages:
        places = [one for one in document.places if one.stage == name]
        own = [_own(place, document) for place in places]
        kinds = dict.fromkeys(kind for one in own for kind in one)
        shared = tuple(
            (kind, tuple(positions[one[kind]] if kind in one else -1 for one in own))
            for kind in kinds
            if sum(kind in one for one in own) > 1
        )
        if shared:
            found.append(Stage(name, shared, _There(document, places, positions)))
    return tuple(found)


def _own(place: Place, document: Document) -> dict[str, str]:
    """Decisions of the place's own, by the size that they are for."""
    named = {size: f"{place.name}.{size}" for size in place.sizes}
    return {size: one for size, one in named.items() if one in document.decisions}


class _There:
    """Which of some repetitions canonical genotypes have: `(n, d) -> (n, layers)`."""

    def __init__(
        self, document: Document, places: Sequence[Place], positions: Mapping[str, int]
    ) -> None:
        repeat = places[0].repeat
        self._numbers = np.array([place.number for place in places])
        self._position = positions[repeat] if repeat else None
        self._depths = np.array(document.decisions[repeat]) if repeat else np.empty(0)

    def __call__(self, rows: IntArray) -> BoolArray:
        if self._position is None:
            return np.ones((len(rows), len(self._numbers)), dtype=np.bool_)
        return np.asarray(self._depths[rows[:, self._position]][:, None] >= self._numbers)
