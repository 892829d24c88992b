"""Evolution on cheap scores finds what counting everything finds."""

from __future__ import annotations

import numpy as np

from nas_service.search.evolve import evolve
from tests.nas_service.search.problems import Grid


def _score(genotypes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = genotypes[:, 0].astype(float), genotypes[:, 1].astype(float)
    losses = np.column_stack([3.0 - first + 0.1 * second, first])
    return losses, np.maximum(first - 2.0, 0.0)  # the largest is over its limit


def test_every_feasible_network_of_the_front_is_met() -> None:
    space = Grid()
    start = space.canonical(np.array([[3, 2]]))
    met = evolve(space, _score, np.random.default_rng(0), start=start, population=8)
    every = np.unique(
        space.canonical(np.array([[a, b] for a in range(4) for b in range(3)])), axis=0
    )
    losses, violation = _score(every)
    inside = every[violation <= 0]
    best = [
        row
        for row, own in zip(inside.tolist(), losses[violation <= 0], strict=True)
        if not any((other <= own).all() and (other < own).any() for other in losses[violation <= 0])
    ]
    assert {tuple(row) for row in best} <= {tuple(row) for row in met.tolist()}
    assert len({tuple(row) for row in met.tolist()}) == len(met)


def test_a_seed_says_what_is_met() -> None:
    space, start = Grid(), np.array([[3, 2]])
    first, again = (
        evolve(space, _score, np.random.default_rng(7), start=start, generations=3).tolist()
        for _ in range(2)
    )
    assert first == again
