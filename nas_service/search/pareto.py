"""Dominance, fronts and hypervolume. Every loss is minimised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nas_service.space.base import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]


def non_dominated(losses: FloatArray) -> BoolArray:
    """Mark the rows of `losses` `(n, m)` that no other row dominates: `(n,)`.

    A row dominates another when it is nowhere greater and somewhere smaller. Equal rows do not
    dominate each other, so all copies of a front point are kept. A row with NaN is never kept.
    """
    keep: BoolArray = np.asarray(~np.isnan(losses).any(axis=1))
    if losses.shape[1] == 2:
        return _non_dominated_2d(losses, keep)
    rows = np.flatnonzero(keep)
    # whoever dominates a row comes before it in lexical order: front members come first, and one
    # pass each is all
    left = rows[np.lexsort(losses[rows].T[::-1])]
    keep[:] = False
    while len(left):
        first = losses[left[0]]
        keep[left[0]] = True
        same = (losses[left] == first).all(axis=1)
        keep[left[same]] = True
        left = left[~((losses[left] >= first).all(axis=1))]
    return keep


def _non_dominated_2d(losses: FloatArray, keep: BoolArray) -> BoolArray:
    rows = np.flatnonzero(keep)
    order = rows[np.lexsort((losses[rows, 1], losses[rows, 0]))]
    first, second = losses[order, 0], losses[order, 1]
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], second]))[:-1]
    # among equal first losses the smallest second one comes first and may have copies
    new_group = (
        np.concatenate([[True], first[1:] != first[:-1]]) if len(order) else np.empty(0, bool)
    )
    group = np.cumsum(new_group) - 1
    best_before_group = best_before[new_group][group] if len(order) else best_before
    smallest_in_group = second[new_group][group] if len(order) else second
    found = np.zeros(len(losses), dtype=np.bool_)
    found[order] = (second < best_before_group) & (second == smallest_in_group)
    return found


def ranks(losses: FloatArray) -> IntArray:
    """Front number of each row, 0 for the non-dominated ones (Deb et al., 2002): `(n,)`."""
    found = np.full(len(losses), -1, dtype=np.int64)
    left = np.arange(len(losses))
    level = 0
    while len(left):
        front = non_dominated(losses[left])
        if not front.any():  # only rows with NaN are left
            found[left] = level
            break
        found[left[front]] = level
        left = left[~front]
        level += 1
    return found


def hypervolume(losses: FloatArray, reference: FloatArray) -> float:
    """Volume that rows `(n, m)` dominate below `reference` `(m,)`; rows beyond it add nothing.

    Exact, by slices along the last loss: for the few hundred points of a front.
    """
    inside = losses[(losses < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    front = np.unique(inside[non_dominated(inside)], axis=0)
    if losses.shape[1] == 2:
        heights = np.concatenate([[reference[1]], front[:-1, 1]]) - front[:, 1]
        return float(((reference[0] - front[:, 0]) * heights).sum())
    front = front[np.argsort(front[:, -1], kind="stable")]
    depths = np.diff(np.append(front[:, -1], reference[-1]))
    return float(
        sum(
            depth * hypervolume(front[: number + 1, :-1], reference[:-1])
            for number, depth in enumerate(depths)
            if depth > 0
        )
    )


def crowding(losses: FloatArray) -> FloatArray:
    """Crowding distance of each row among all given (Deb et al., 2002): `(n,)`."""
    n, m = losses.shape
    found = np.zeros(n)
    for column in range(m):
        order = np.argsort(losses[:, column], kind="stable")
        values = losses[order, column]
        width = values[-1] - values[0] or 1.0
        found[order[0]] = found[order[-1]] = np.inf
        if n > 2:
            found[order[1:-1]] += (values[2:] - values[:-2]) / width
    return found
