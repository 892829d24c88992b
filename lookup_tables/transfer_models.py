"""The models that a transfer compares, and how they do on known targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookup_tables.source import FloatArray

IntArray = npt.NDArray[np.int64]

_NOISES = (1e-4, 1e-3)
"""Variance of a relative error that a row has at least; chosen by left-out error."""
_TAIL = 3.0
"""Degrees of freedom of Student's t."""
_ROUNDS = 5
_FEATURE_SCALE, _REFERENCE_SCALE, _LEVEL_SCALE, _CONSTANT = 0.1, 0.3, 10.0, 0.3
"""Prior variances, for latencies in units of their median."""
_BELIEF = 10.0
"""How many measurements the known targets' word counts for."""
_SHARPNESS = 6.0
_MAX_PSEUDO = 12
_LOOKED_AT = 400
"""Networks on which a model's error is found on a known target."""


@dataclass(frozen=True)
class Model:
    """A set of features, standardised, with or without the references."""

    name: str
    rows: FloatArray
    with_references: bool


def models_of(features: Mapping[str, FloatArray], n_references: int) -> list[Model]:
    """One model a set of features, where there are references one more each and one of them."""
    found = []
    for name, rows in features.items():
        spread = rows.std(axis=0)
        scaled = (rows - rows.mean(axis=0)) / np.where(spread > 1e-12, spread, np.inf)
        scaled = scaled / np.sqrt(max(1, int((spread > 1e-12).sum())))
        found.append(Model(name, scaled, with_references=False))
        if n_references:
            found.append(Model(f"{name} and references", scaled, with_references=True))
    if n_references:
        n = len(next(iter(features.values())))
        found.append(Model("references", np.zeros((n, 1)), with_references=True))
    return found


def estimate(
    model: Model, references: FloatArray, wanted: IntArray, measured: IntArray, latency: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Latencies of the `wanted` networks, and relative left-out errors of the measured ones."""
    unit = float(np.median(latency))
    target = latency / unit
    if model.with_references:
        known = references / np.median(references, axis=0)
        level = known.mean(axis=1)
        apart = (known - level[:, None]) / np.sqrt(known.shape[1])
    else:
        level, apart = np.ones(len(model.rows)), np.zeros((len(model.rows), 1))

    def covariance(rows: IntArray) -> FloatArray:
        found = _FEATURE_SCALE * model.rows[rows] @ model.rows[measured].T
        found += _REFERENCE_SCALE * apart[rows] @ apart[measured].T
        found += _LEVEL_SCALE * np.outer(level[rows], level[measured]) + _CONSTANT
        return np.asarray(found)

    among = covariance(measured)
    fits = [_robust(among, target, noise) for noise in _NOISES]
    weights, errors = min(fits, key=lambda fit: spread_of(fit[1]))
    found = covariance(wanted) @ weights
    # an additive model may go below zero far from what was measured
    return np.maximum(found, 0.3 * target.min()) * unit, errors


def _robust(
    covariance: FloatArray, target: FloatArray, noise: float
) -> tuple[FloatArray, FloatArray]:
    """Weights of the measured rows, and relative left-out errors, under heavy-tailed noise.

    Rows are weighted by their left-out errors as in the EM algorithm for Student's t (Lange et al.,
    1989): a row that the others contradict tells little.
    """
    each = np.full(len(target), noise)
    for round_ in range(_ROUNDS + 1):
        inverse = np.linalg.inv(covariance + np.diag(each * target**2))
        weights = inverse @ target
        errors = weights / np.diag(inverse) / target
        if round_ < _ROUNDS:
            scale = max(float(np.median(np.abs(errors))) ** 2 / 0.4549, 1e-7)
            each = noise * np.maximum((_TAIL + errors**2 / scale) / _TAIL, 1.0)
    return weights, errors


def pseudo_targets(
    models: Sequence[Model], references: FloatArray, hardware: Sequence[str], measured: IntArray
) -> list[list[tuple[FloatArray, FloatArray]]]:
    """Each known target (up to a dozen) as if new: a model's errors on it, and left-out ones."""
    n, r = references.shape
    generator = np.random.default_rng(0)
    others = np.setdiff1d(generator.permutation(n)[: _LOOKED_AT + len(measured)], measured)
    found: list[list[tuple[FloatArray, FloatArray]]] = []
    if not len(others):
        return found
    for column in generator.permutation(r)[:_MAX_PSEUDO]:
        rest = [j for j in range(r) if hardware[j] != hardware[column]]
        if not rest:
            continue
        there, truth = references[measured, column], references[others, column]
        target = []
        for model in models:
            there_estimated, errors = estimate(model, references[:, rest], others, measured, there)
            target.append((np.log(there_estimated / truth), errors))
        found.append(target)
    return found


def model_weights(
    own: Sequence[tuple[FloatArray, FloatArray]],
    pseudo: Sequence[Sequence[tuple[FloatArray, FloatArray]]],
) -> FloatArray:
    """What each model counts for: by its left-out errors, and by those on known targets."""
    k = len(own[0][1])
    scores = np.array([np.log(spread_of(errors)) for _, errors in own])
    if pseudo:
        cut = [[np.minimum(np.abs(errors), 0.5).mean() for errors, _ in one] for one in pseudo]
        elsewhere = np.log(np.array(cut) + 1e-4).mean(axis=0)
        scores = (scores * k + elsewhere * _BELIEF) / (k + _BELIEF)
    weights = np.exp(-_SHARPNESS * (scores - scores.min()))
    return np.asarray(weights / weights.sum())


def mixed(weights: FloatArray, rows: Sequence[FloatArray]) -> FloatArray:
    """What the models say together: rows `(models, n)` by their weights."""
    return np.asarray(np.tensordot(weights, np.array(rows), 1))


def spread_of(errors: FloatArray) -> float:
    """Root mean square of errors that are cut at three times their median size."""
    size = np.abs(errors)
    cut = np.minimum(size, 3.0 * float(np.median(size)) + 1e-6)
    return float(np.sqrt(np.mean(cut**2)))
