"""Two levels of a space: a skeleton of stages, and the blocks within them.

On the upper level all layers of a stage are made alike, so that a network is told by its skeleton
(how many layers a stage has, how wide, where it halves its maps) and one kind of block a stage, as
in the factorised space of MnasNet (Tan et al., 2019). The lower level lets every layer differ. A
search that begins on the upper level learns more of each network that it evaluates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_service.space.base import Decision, FloatArray, IntArray, SearchSpace
from nas_service.space.sampling import Choices
from nas_service.space.wrapped import unwrapped

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Stage:
    """Layers that stand for each other.

    `kinds` has, for each size that two layers or more decide for themselves, its name and the
    position of each layer's decision, -1 where a layer has none; `there` says of canonical
    genotypes `(n, d)` which layers they have: `(n, layers)`.
    """

    name: str
    kinds: tuple[tuple[str, tuple[int, ...]], ...]
    there: Callable[[IntArray], BoolArray]

    @property
    def n_layers(self) -> int:
        """As many as it has at most."""
        return len(self.kinds[0][1])


def stages_of(space: SearchSpace) -> tuple[Stage, ...]:
    """The stages of a space, whatever was put around it; none where it has one level."""
    found: tuple[Stage, ...] = getattr(unwrapped(space), "stages", ())
    return found


class AlikeInStages:
    """The upper level: the same decisions, of which a stage's layers take those of its first one.

    Where a layer does not have the first one's value it takes the nearest that it has.
    """

    def __init__(self, choices: Choices, stages: Sequence[Stage]) -> None:
        self.decisions = choices.decisions
        self._choices = choices
        self._stages = tuple(stages)
        self._kinds = [
            (stage, np.array(places), self._tables(places))
            for stage in self._stages
            for _, places in stage.kinds
        ]

    def _tables(self, places: Sequence[int]) -> list[IntArray]:
        """For each place `(layers, values)`: its position nearest to a value of some layer's."""
        known = [
            np.array(self.decisions[one].values if one >= 0 else (0,), dtype=np.float64)
            for one in places
        ]
        widest = max(len(one) for one in known)
        found = []
        for own in known:
            table = np.zeros((len(known), widest), dtype=np.int64)
            for layer, values in enumerate(known):
                table[layer, : len(values)] = np.abs(own - values[:, None]).argmin(axis=1)
            found.append(table)
        return found

    def canonical(self, genotypes: IntArray) -> IntArray:
        """One genotype a network of the upper level: `(n, d) -> (n, d)`."""
        rows = np.array(self._choices.canonical(genotypes), copy=True)
        every = np.arange(len(rows))
        for stage, places, tables in self._kinds:
            first = (stage.there(rows) & (places >= 0)).argmax(axis=1)
            first = np.where(places[first] >= 0, first, (places >= 0).argmax())
            taken = rows[every, places[first]]
            for place, table in zip(places, tables, strict=True):
                if place >= 0:
                    rows[:, place] = table[first, taken]
        return self._choices.canonical(rows)

    def valid(self, genotypes: IntArray) -> BoolArray:
        """Whether the network that it stands for is one of the space."""
        return self._choices.valid(self.canonical(genotypes))


def stage_features(
    stages: Sequence[Stage],
    decisions: Sequence[Decision],
    products: Sequence[Callable[[IntArray], FloatArray]],
    rows: IntArray,
) -> FloatArray:
    """What each stage of canonical genotypes holds: its depth, products, and sums over layers."""
    columns = []
    for stage, counted in zip(stages, products, strict=True):
        there = stage.there(rows)
        columns += [there.sum(axis=1), np.log1p(counted(rows))]
        for _, places in stage.kinds:
            total = np.zeros(len(rows))
            for layer, place in enumerate(places):
                if place >= 0:
                    values = np.array(decisions[place].values, dtype=np.float64)
                    total += values[rows[:, place]] * there[:, layer]
            columns.append(total)
    return np.column_stack(columns).astype(np.float64)


def stage_feature_names(stages: Sequence[Stage]) -> list[str]:
    """What each of `stage_features` is."""
    names = []
    for stage in stages:
        names += [f"stages.{stage.name}_depth", f"stages.{stage.name}_log_products"]
        names += [f"stages.{stage.name}_{kind}" for kind, _ in stage.kinds]
    return names
