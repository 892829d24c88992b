"""What a cell of four nodes computes, as an expression: equal expressions are equal networks.

A node is the multiset of its terms: `"x"` is the cell's input, `(operator, terms)` an operator on
a sum. A dead edge leaves no term, a skip hands on its source's own terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.space.base import IntArray

OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV1, CONV3, POOL = range(5)
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
N_NODES = 4
WEIGHTS = 5 ** np.arange(len(EDGES) - 1, -1, -1)
"""A genotype times these is the cell's number, 0 to 15,624."""

Term = tuple[Any, ...]
Path = tuple[int, ...]


@cache
def expression(cell: tuple[int, ...], node: int = N_NODES - 1) -> Term:
    """What a node computes: the sorted multiset of its terms."""
    if node == 0:
        return ("x",)
    terms: list[Any] = []
    for (source, target), operator in zip(EDGES, cell, strict=True):
        if target != node or operator == NONE:
            continue
        inner = expression(cell, source)
        if operator == SKIP:
            terms.extend(inner)
        elif inner:
            terms.append((operator, inner))
    return tuple(sorted(terms, key=repr))


@cache
def classes() -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """For every cell the number of its class's representative, and whether it is connected.

    The representative is the member with the fewest operators that cost something, then the
    lowest number: dead edges are gone from it.
    """
    best: dict[Term, tuple[int, int, int]] = {}
    keys = []
    for number, cell in enumerate(product(range(5), repeat=len(EDGES))):
        key = expression(cell)
        keys.append(key)
        costly = sum(operator >= CONV1 for operator in cell)
        live = sum(operator != NONE for operator in cell)
        rank = (costly, live, number)
        if key not in best or rank < best[key]:
            best[key] = rank
    representative = np.array([best[key][2] for key in keys], dtype=np.int64)
    return representative, np.array([bool(key) for key in keys])


def subterms(terms: Term) -> Iterator[Term]:
    """Every operator's term in the expression, as often as it stands there."""
    for one in terms:
        if one != "x":
            yield one
            yield from subterms(one[1])


def paths(terms: Term) -> list[Path]:
    """Every way from the input to the output as the operators met, skips left out."""
    found: list[Path] = []
    for one in terms:
        if one == "x":
            found.append(())
        else:
            found.extend((*path, one[0]) for path in paths(one[1]))
    return found


def depths(terms: Term) -> Counter[tuple[int, int]]:
    """Operators with the depth at which they stand below the output; the input counts as a skip."""
    counts: Counter[tuple[int, int]] = Counter()

    def visit(inner: Term, depth: int) -> None:
        for one in inner:
            if one == "x":
                counts[SKIP, depth] += 1
            else:
                counts[one[0], depth] += 1
                visit(one[1], depth + 1)

    visit(terms, 0)
    return counts


def energies(terms: Term) -> dict[tuple[int, int], float]:
    """How much of the output's variance came by (convolutions 1x1, convolutions 3x3).

    Terms are taken as uncorrelated; normalisation after a convolution gives its output unit
    variance whatever went in; a 3x3 mean keeps about two fifths of the variance of images.
    """
    found: dict[tuple[int, int], float] = {}
    for one in terms:
        if one == "x":
            found[0, 0] = found.get((0, 0), 0.0) + 1.0
            continue
        inner = energies(one[1])
        total = sum(inner.values())
        for (ones, threes), share in inner.items():
            if one[0] == POOL:
                key, part = (ones, threes), 0.4 * share
            else:
                key = (ones + (one[0] == CONV1), threes + (one[0] == CONV3))
                part = share / total
            found[key] = found.get(key, 0.0) + part
    return found
