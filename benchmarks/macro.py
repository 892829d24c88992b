"""NAS-Bench-Macro (Su et al., 2021): eight layers in stages, as a flat space and as one of stages.

A layer is nothing, or an inverted residual of expansion 3 and kernel 3, or of 6 and 5. Those that
halve the maps (the third and the sixth) are there in any case, as a plain convolution at least; of
the two layers after each, one that is nothing may as well be the other one: such networks are one.
Half of the benchmark is known; networks of the other half are not valid here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import nb201
from nas_service.space.base import Decision, FloatArray, IntArray
from nas_service.space.stages import Stage, stage_feature_names, stage_features

KINDS = ("none", "mb3_k3", "mb6_k5")
STAGES = ((0, 2), (2, 5), (5, 8))
_TAILS = (slice(3, 5), slice(6, 8))
_PLACES = 3 ** np.arange(8)[::-1]

BoolArray = npt.NDArray[np.bool_]


def canonical(layers: IntArray) -> IntArray:
    """Kinds of layers `(n, 8)` with those that are nothing behind the others of their tail."""
    found = np.array(layers, copy=True)
    for tail in _TAILS:
        part = found[:, tail]
        order = np.argsort(part == 0, axis=1, kind="stable")
        found[:, tail] = np.take_along_axis(part, order, axis=1)
    return found


@dataclass(frozen=True)
class Networks:
    """What is known: canonical layers `(n, 8)`, accuracy and costs `(n,)`, each network once."""

    layers: IntArray
    accuracy: FloatArray
    macs: FloatArray
    parameters: FloatArray

    @cached_property
    def _position(self) -> IntArray:
        position = np.full(3**8, -1, dtype=np.int64)
        position[self.layers @ _PLACES] = np.arange(len(self.layers))
        return position

    def of(self, layers: IntArray) -> IntArray:
        """Which of them networks `(n, 8)` are, -1 where one is not known: `(n,)`."""
        return np.asarray(self._position[canonical(layers) @ _PLACES])


def networks(folder: Path) -> Networks:
    """Those of the data folder."""
    table = nb201.read(folder, "nasbench_macro.parquet")
    layers = canonical(np.array([[int(c) for c in arch] for arch in table["arch"].astype(str)]))
    layers, first = np.unique(layers, axis=0, return_index=True)
    return Networks(
        layers,
        table["mean_acc"][first] / 100.0,
        table["flops"][first].astype(np.float64),
        table["params"][first].astype(np.float64),
    )


class FlatSpace:
    """Eight choices of three kinds; what a predictor reads are the choices and the products."""

    decisions: tuple[Decision, ...] = tuple(Decision(f"layer{n}", (0, 1, 2)) for n in range(1, 9))
    feature_names: tuple[str, ...] = (*(f"layers.{n}" for n in range(1, 9)), "products.log")
    stages: tuple[Stage, ...] = ()

    def __init__(self, known: Networks) -> None:
        self.known = known

    def layers(self, genotypes: IntArray) -> IntArray:
        """The kinds of their layers: `(n, d) -> (n, 8)`."""
        return canonical(genotypes)

    def canonical(self, genotypes: IntArray) -> IntArray:
        """One genotype a network."""
        return canonical(genotypes)

    def valid(self, genotypes: IntArray) -> BoolArray:
        """Networks that are known."""
        return self.known.of(self.layers(genotypes)) >= 0

    def features(self, genotypes: IntArray) -> FloatArray:
        """See `feature_names`."""
        macs = self.known.macs[self.known.of(self.layers(genotypes))]
        return np.column_stack([self.layers(genotypes), np.log(macs)]).astype(np.float64)


class StagedSpace(FlatSpace):
    """A skeleton (is the first layer of a stage there, how many after it), and kinds below it."""

    def __init__(self, known: Networks) -> None:
        super().__init__(known)
        decisions: list[Decision] = []
        stages = []
        for number, (start, end) in enumerate(STAGES, start=1):
            at, n = len(decisions), end - start
            decisions.append(Decision(f"stage{number}.first", (0, 1)))
            decisions.append(Decision(f"stage{number}.depth", tuple(range(n))))
            decisions += [Decision(f"stage{number}.{one}.kind", (1, 2)) for one in range(1, n + 1)]
            kinds = tuple(at + 2 + one for one in range(n))
            stages.append(Stage(f"stage{number}", (("kind", kinds),), _There(at, n)))
        self.decisions = tuple(decisions)
        self.stages = tuple(stages)
        self.feature_names = (
            *stage_feature_names(self.stages),
            *FlatSpace.feature_names,
        )

    def layers(self, genotypes: IntArray) -> IntArray:
        """See `FlatSpace.layers`."""
        columns = []
        for stage in self.stages:
            there = stage.there(genotypes)
            kinds = genotypes[:, list(stage.kinds[0][1])] + 1
            columns.append(np.where(there, kinds, 0))
        return canonical(np.concatenate(columns, axis=1))

    def canonical(self, genotypes: IntArray) -> IntArray:
        """The kind of a layer that is not there is the first one."""
        rows = np.array(genotypes, copy=True)
        for stage in self.stages:
            there = stage.there(rows)
            for one, place in enumerate(stage.kinds[0][1]):
                rows[:, place] = np.where(there[:, one], rows[:, place], 0)
        return rows

    def features(self, genotypes: IntArray) -> FloatArray:
        """What stages hold, then those of the flat space."""
        rows = self.canonical(genotypes)
        layers = self.layers(rows)
        counted = [_products_of(layers[:, start:end]) for start, end in STAGES]
        products = [lambda _, one=one: one for one in counted]
        of_stages = stage_features(self.stages, self.decisions, products, rows)
        return np.column_stack([of_stages, super().features(rows)])


def _products_of(layers: IntArray) -> FloatArray:
    """What the layers of a stage take, in those of one of expansion 3."""
    return np.asarray(layers.sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class _There:
    """Which layers of the stage whose decisions start at `at` are there."""

    at: int
    n: int

    def __call__(self, rows: IntArray) -> BoolArray:
        first, depth = rows[:, [self.at]] == 1, rows[:, [self.at + 1]]
        return np.concatenate([first, np.arange(1, self.n) <= depth], axis=1)
