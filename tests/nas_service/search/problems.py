"""The small problem of the contracts, by the names of these tests, and a grid without networks."""

from __future__ import annotations

import numpy as np

from lookup_tables.table import LookupTable
from lookup_tables.target import Deployment
from nas_service.search.testing import LawEvaluator, small_problem, table_by_macs
from nas_service.space.base import Decision, FloatArray, IntArray, SearchSpace

__all__ = ["Grid", "LawEvaluator", "accuracy_of_grid", "cost_of_grid", "make_problem", "table_of"]

make_problem = small_problem


def table_of(space: SearchSpace, precision: str) -> LookupTable:
    return table_by_macs(space, Deployment.parse(precision))


class Grid:
    """Two ordered decisions; the second does nothing where the first is 0."""

    decisions = (Decision("a", (1, 2, 3, 4)), Decision("b", ("x", "y", "z"), ordered=False))

    def canonical(self, genotypes: IntArray) -> IntArray:
        found = genotypes.copy()
        found[found[:, 0] == 0, 1] = 0
        return found

    def valid(self, genotypes: IntArray) -> np.ndarray:
        return np.ones(len(genotypes), dtype=bool)

    def features(self, genotypes: IntArray) -> FloatArray:
        return self.canonical(genotypes).astype(float)


def cost_of_grid(genotypes: IntArray) -> FloatArray:
    return 1.0 + genotypes[:, 0] + 0.1 * genotypes[:, 1]


def accuracy_of_grid(genotype: IntArray) -> float:
    return float(0.5 + 0.1 * genotype[0] - 0.01 * genotype[1])
