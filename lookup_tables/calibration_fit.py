"""Weights of a calibration: least squares in relative error, robust, under linear bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookup_tables.source import FloatArray

FLOOR_OF_SUM = 0.05
"""An estimate is never below this share of the plain sum, nor a block's part below it."""
N_SUMS = 3
"""Columns of sums before those of variants: latency, blocks, layers."""
_HUBER, _ROUNDS = 2.0, 8
_PULL, _PULL_VARIANTS = 0.003, 0.01


def bounds_of(parts: FloatArray) -> FloatArray:
    """Rows `(m, 3 or more)`, each once, whose products with the weights have to be positive."""
    return np.unique(np.round(parts, 9), axis=0)


def fit_weights(
    design: FloatArray, measured: FloatArray, columns: Sequence[int], bounds: FloatArray
) -> FloatArray:
    """Weights of ratio, blocks, layers, a constant and variants; those not in `columns` are fixed.

    Least squares in relative error with Huber's weights and a small pull towards the plain sum,
    under linear bounds: no block costs less than a twentieth of what it costs alone.
    """
    plain = np.zeros(design.shape[1])
    plain[0] = 1.0
    if not columns:
        return plain
    chosen = list(columns)
    weighted = design / measured[:, None]
    scale = weighted[:, chosen].mean(axis=0)
    scale[scale <= 0] = 1.0  # a variant that none of these networks has
    rows = weighted[:, chosen] / scale
    residual_target = 1.0 - weighted @ np.where(np.isin(np.arange(len(plain)), chosen), 0.0, plain)
    prior = plain[chosen] * scale
    # columns that networks hardly tell apart are pulled to the plain sum, a single ratio is not
    pull = np.where(np.array(chosen) < 4, _PULL, _PULL_VARIANTS)
    pull = pull * np.sqrt(len(measured)) * (len(chosen) > 1)
    floor = np.column_stack([bounds[:, :N_SUMS], np.zeros(len(bounds)), bounds[:, N_SUMS:]])
    limits = floor[:, chosen] / scale
    least = FLOOR_OF_SUM * bounds[:, 0]
    steps = np.ones(len(measured))
    solution = prior
    for _ in range(_ROUNDS):
        root = np.sqrt(steps)
        matrix = np.vstack([rows * root[:, None], np.diag(pull)])
        target = np.concatenate([residual_target * root, pull * prior])
        solution = least_squares(matrix, target, limits, least)
        off = np.abs(rows @ solution - residual_target)
        reach = max(_HUBER * 1.4826 * float(np.median(off)), 1e-4)
        steps = np.minimum(1.0, reach / np.maximum(off, 1e-12))
    weights = plain.copy()
    weights[chosen] = solution / scale
    return weights


def least_squares(
    matrix: FloatArray, target: FloatArray, limits: FloatArray, least: FloatArray
) -> FloatArray:
    """`x` of the least squares of `matrix x - target` with `limits x >= least`.

    Lawson and Hanson (1974), chapter 23: turned into the shortest vector under linear bounds, which
    is a problem of least squares with non-negative unknowns.
    """
    from scipy.optimize import nnls  # half a second that whoever only reads need not wait

    q, r = np.linalg.qr(matrix)
    free = np.linalg.solve(r, q.T @ target)
    slack = limits @ free - least
    if np.all(slack >= -1e-12):
        return np.asarray(free)
    turned = np.linalg.solve(r.T, limits.T).T
    size = np.linalg.norm(turned, axis=1)
    keep = size > 0
    turned, bound = turned[keep] / size[keep, None], -slack[keep] / size[keep]
    stacked = np.vstack([turned.T, bound[None, :]])
    goal = np.zeros(len(stacked))
    goal[-1] = 1.0
    dual, _ = nnls(stacked, goal)
    rest = stacked @ dual - goal
    if abs(rest[-1]) < 1e-12:  # nothing keeps all bounds: as near as can be is the plain sum's
        return np.asarray(free)
    return np.asarray(free + np.linalg.solve(r, -rest[:-1] / rest[-1]))
