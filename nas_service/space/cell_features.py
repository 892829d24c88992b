"""What predictors read of a cell: what its expression is made of, how its paths run.

One row for every cell, made once and then looked up: equal networks have equal rows. Names start
with the group that a feature belongs to.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from nas_service.space.base import FloatArray, IntArray
from nas_service.space.expression import (
    CONV1,
    CONV3,
    EDGES,
    OPERATORS,
    POOL,
    SKIP,
    WEIGHTS,
    Term,
    classes,
    depths,
    energies,
    expression,
    paths,
    subterms,
)

_COSTLY = (CONV1, CONV3, POOL)
_TRAIT_NAMES = ("live", "conv", "3x3", "pool")
_TRAITS = np.array(
    [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]], dtype=np.float64
)
"""Of each operator: is there, is a convolution, is 3x3, is a pool."""


def features(genotypes: IntArray) -> FloatArray:
    """Rows `(n, f)` of cells `(n, 6)`."""
    _, rows, position = _table()
    return np.asarray(rows[position[np.asarray(genotypes) @ WEIGHTS]])


def names() -> tuple[str, ...]:
    """The name of each feature."""
    return _table()[0]


@cache
def _table() -> tuple[tuple[str, ...], FloatArray, IntArray]:
    """Names, one row a class, and every cell's row."""
    representatives, _ = classes()
    kept, position = np.unique(representatives, return_inverse=True)
    found = []
    for number in kept:
        cell = tuple(int(v) for v in number // WEIGHTS % 5)
        terms = expression(cell)
        row = _summary(cell, terms)
        row.update(_terms(terms))
        for (source, target), operator in zip(EDGES, cell, strict=True):
            for trait, value in zip(_TRAIT_NAMES, _TRAITS[operator], strict=True):
                row[f"edges.{source}{target}_{trait}"] = value
        found.append(row)
    columns = tuple(sorted({name for row in found for name in row}))
    rows = np.array([[row.get(name, 0.0) for name in columns] for row in found])
    return columns, rows, np.asarray(position, dtype=np.int64)


def _summary(cell: tuple[int, ...], terms: Term) -> dict[str, float]:
    """Sizes of the cell, how long its paths are, and where the output's variance comes from."""
    row: dict[str, float] = {}
    ways = paths(terms)
    for name, counted in (
        ("depth", (CONV1, CONV3, POOL)),
        ("conv", (CONV1, CONV3)),
        ("3x3", (CONV3,)),
        ("pool", (POOL,)),
    ):
        lengths = np.array([sum(o in counted for o in way) for way in ways] or [0])
        row[f"summary.{name}_max"] = lengths.max()
        row[f"summary.{name}_min"] = lengths.min()
        row[f"summary.{name}_mean"] = lengths.mean()
        for length in range(4):
            row[f"summary.paths_with_{length}_{name}"] = float((lengths == length).sum())
    row["summary.paths"] = len(ways)
    for operator, name in enumerate(OPERATORS):
        row[f"summary.{name}"] = cell.count(operator)
    row["summary.log_work"] = np.log1p(cell.count(CONV1) + 9 * cell.count(CONV3))
    shares = energies(terms)
    total = sum(shares.values()) or 1.0
    for (ones, threes), share in shares.items():
        for key in (f"summary.energy_conv_{ones + threes}", f"summary.energy_3x3_{threes}"):
            row[key] = row.get(key, 0.0) + share / total
    row["summary.energy_depth"] = sum((a + b) * s for (a, b), s in shares.items()) / total
    row["summary.energy_log_total"] = np.log(total)
    return row


def _terms(terms: Term) -> dict[str, float]:
    """Operators by depth, by what they read, and how many different ones there are."""
    counts = depths(terms)
    row: dict[str, float] = {}
    for (operator, depth), n in counts.items():
        row[f"terms.{OPERATORS[operator]}_at_{depth}"] = n
        total = f"terms.{OPERATORS[operator]}"
        row[total] = row.get(total, 0.0) + n
    row["terms.outputs"] = len(terms)
    row["terms.different_outputs"] = len(set(map(repr, terms)))
    inner = list(subterms(terms))
    for operator, read in inner:
        for one in read:
            key = f"terms.{OPERATORS[operator]}_of_{OPERATORS[SKIP if one == 'x' else one[0]]}"
            row[key] = row.get(key, 0.0) + 1
        key = f"terms.{OPERATORS[operator]}_of_{len(read)}"
        row[key] = row.get(key, 0.0) + 1
    for operator in _COSTLY:
        row[f"terms.different_{OPERATORS[operator]}"] = len(
            {one for one in inner if one[0] == operator}
        )
    return row
