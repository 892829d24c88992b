"""A small search problem with a known accuracy law."""

from __future__ import annotations

import numpy as np

from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Target
from nas_service.search.cost import CostModel, StructureModel, all_blocks
from nas_service.search.evaluate import Problem
from nas_service.search.shipping import ShippingModel
from nas_service.search.spec import FP32_AND_INT8
from nas_service.space.base import Decision, FloatArray, ImageShape, IntArray
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.mbconv import MbconvSpace


def table_of(space: MbconvSpace, precision: str) -> LookupTable:
    factor = {"fp32": 1.0, "int8": 0.6}[precision]
    entries = tuple(Entry(b, p10_ms=0.001 + factor * b.macs / 1e6) for b in all_blocks(space))
    return LookupTable(Target("board", "onnxruntime", "1", precision), entries)


def make_problem(limit_ms: float = 3.0, size: int = 16) -> Problem:
    space = MbconvSpace(ImageShape(size, 1, 4))
    costs = tuple(CostModel(space, table_of(space, p), None) for p in ("fp32", "int8"))
    return Problem(
        space=DeploymentSpace(space, FP32_AND_INT8),
        costs=costs,
        shipping=(ShippingModel(), ShippingModel(shipped_mean=-0.01)),
        structure=StructureModel(space),
        limit_ms=limit_ms,
        limit_probability=0.9,
    )


class LawEvaluator:
    """Accuracy rises with the logarithm of the MACs and with the gates; counts its calls."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.seen: list[bytes] = []

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        del fidelity, seed
        self.seen += [row.tobytes() for row in genotypes]
        macs = self._problem.structure(genotypes).macs
        gates = genotypes[:, [3, 11, 19, 27]].sum(axis=1)
        return np.clip(0.3 + 0.04 * np.log(macs) + 0.005 * gates, 0.0, 0.99)


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
