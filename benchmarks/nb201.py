"""NAS-Bench-201 as tables: accuracies of cells, and their cost on every device that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from nas_service.errors import InvalidSpec
from nas_service.space.base import FloatArray, ImageShape, IntArray
from nas_service.space.cell import NasBench201Space
from nas_service.space.expression import WEIGHTS

TASKS = {
    "cifar100": ("cifar100_test_acc_200ep", 0.60),
    "cifar10": ("cifar10_val_acc_200ep", 0.84),
}
"""The accuracy column of each task, and the accuracy at which its hypervolume begins."""
CHEAP = {"cifar100": "cifar100_val_acc_12ep", "cifar10": "cifar10_val_acc_12ep"}
"""What each task's networks reach in 12 epochs instead of 200."""
EDGES = ("op_01", "op_02", "op_12", "op_03", "op_13", "op_23")
LOW_FIDELITY = tuple(
    f"{data}_{part}_acc_12ep"
    for data in ("cifar10", "cifar100", "imagenet16")
    for part in ("val", "test")
)


def read(folder: Path, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a Parquet file of the data folder; a clear error where it is missing."""
    path = folder / name
    if not path.is_file():
        raise InvalidSpec(f"{path} does not exist; give --data or set NAS_BENCH_DATA")
    table = pq.read_table(path)
    return {column: table[column].to_numpy() for column in table.column_names}


@cache
def space() -> NasBench201Space:
    """The benchmark's space."""
    return NasBench201Space(ImageShape(32, 3, 10))


@dataclass(frozen=True)
class Cells:
    """One cell a class: genotypes `(4929, 6)` as this project writes them, and what is known.

    `position` finds the class of a cell's number among them, -1 where a class has no row.
    """

    index: IntArray
    genotypes: IntArray
    position: IntArray
    columns: Mapping[str, FloatArray]

    def accuracy(self, task: str) -> FloatArray:
        """Accuracies of a task as fractions."""
        return self.columns[TASKS[task][0]] / 100.0

    def of(self, genotypes: IntArray) -> IntArray:
        """Which class each genotype is: `(n,)`."""
        return np.asarray(self.position[space().canonical(genotypes) @ WEIGHTS])


def cells(folder: Path) -> Cells:
    """The canonical cells of the data folder."""
    table = read(folder, "nasbench201.parquet")
    own = table["arch_index"] == table["canonical_rep_index"]
    genotypes = space().canonical(np.column_stack([table[e] for e in EDGES]).astype(np.int64)[own])
    position = np.full(5 ** len(EDGES), -1, dtype=np.int64)
    position[genotypes @ WEIGHTS] = np.arange(len(genotypes))
    numbers = {
        name: values[own].astype(np.float64)
        for name, values in table.items()
        if values.dtype.kind in "fiu"
    }
    return Cells(table["arch_index"][own].astype(np.int64), genotypes, position, numbers)


def devices(folder: Path, index: IntArray) -> dict[str, FloatArray]:
    """Every latency and energy column of those cells; columns with equal values count once."""
    found: dict[str, FloatArray] = {}
    for name, table in (
        ("help", _read_if_there(folder, "help_nb201_latency.parquet")),
        ("hwnas", _read_if_there(folder, "hwnasbench_nb201.parquet")),
        ("pi5", _read_if_there(folder, "hwnb360_nb201_latency_energy.parquet")),
    ):
        for case, rows in _cases(table):
            order = np.full(int(table["arch_index"].max()) + 1, -1, dtype=np.int64)
            order[table["arch_index"][rows]] = rows
            place = order[index]
            if (place < 0).any():
                continue
            for column, values in table.items():
                if values.dtype.kind == "f" and "var" not in column:
                    cost = values[place].astype(np.float64)
                    if np.isfinite(cost).all() and (cost > 0).all():
                        found["/".join([name, *case, column])] = cost
    if not found:
        raise InvalidSpec(f"no latency or energy columns in {folder}")
    kept: dict[str, FloatArray] = {}
    for name, cost in found.items():
        # files differ in how they round
        if not any(np.allclose(cost, other, rtol=1e-5, atol=0) for other in kept.values()):
            kept[name] = cost
    return kept


def _read_if_there(folder: Path, name: str) -> dict[str, np.ndarray[Any, Any]]:
    return read(folder, name) if (folder / name).is_file() else {}


def _cases(table: Mapping[str, np.ndarray[Any, Any]]) -> list[tuple[tuple[str, ...], IntArray]]:
    """A long table's settings (device, framework, task, data set) with their rows."""
    if not table:
        return []
    settings = [values.astype(str) for values in table.values() if values.dtype.kind in "OUST"]
    n = len(table["arch_index"])
    if not settings:
        return [((), np.arange(n))]
    joined = np.array(["\t".join(one) for one in zip(*settings, strict=True)])
    return [
        (tuple(str(case).split("\t")), np.flatnonzero(joined == case)) for case in np.unique(joined)
    ]


def front(log_cost: FloatArray, accuracy: FloatArray) -> IntArray:
    """Rows that no other dominates, cheapest first."""
    order = np.lexsort((-accuracy, log_cost))
    best = np.maximum.accumulate(accuracy[order])
    return np.asarray(order[np.concatenate([[True], best[1:] > best[:-1]])])


def dominated(log_cost: FloatArray, accuracy: FloatArray, highest: float, floor: float) -> float:
    """Area dominated in the plane (ln cost, accuracy) against the point (`highest`, `floor`)."""
    inside = accuracy > floor
    if not inside.any():
        return 0.0
    cost, value = log_cost[inside], accuracy[inside]
    rows = front(cost, value)
    steps = np.diff(np.concatenate([[floor], value[rows]]))
    return float(((highest - cost[rows]) * steps).sum())
