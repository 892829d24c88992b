"""How good predictions are: rank correlations, coverage, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from predictors.base import AccuracyPredictor, FloatArray, Prediction, folds_of


def kendall(predicted: FloatArray, actual: FloatArray) -> float:
    """Kendall's tau-b; NaN where either side is constant."""
    if np.ptp(predicted) == 0 or np.ptp(actual) == 0:
        return float("nan")
    return float(stats.kendalltau(predicted, actual).statistic)


def spearman(predicted: FloatArray, actual: FloatArray) -> float:
    """Spearman's rho; NaN where either side is constant."""
    if np.ptp(predicted) == 0 or np.ptp(actual) == 0:
        return float("nan")
    return float(stats.spearmanr(predicted, actual).statistic)


def coverage(prediction: Prediction, actual: FloatArray, level: float) -> float:
    """Share of `actual` inside the intervals of that level."""
    interval = prediction.interval(level)
    inside = (interval[:, 0] <= actual) & (actual <= interval[:, 1])
    return float(inside.mean())


def top_k_regret(predicted: FloatArray, actual: FloatArray, k: int) -> float:
    """Best actual value minus the best among the `k` predicted best."""
    chosen = np.argsort(-predicted, kind="stable")[:k]
    return float(actual.max() - actual[chosen].max())


CARD_LEVELS = (0.8, 0.9)
_CARD_FOLDS = 5


def report_card(
    make: Callable[[], AccuracyPredictor], features: FloatArray, accuracy: FloatArray, seed: int = 0
) -> dict[str, Any]:
    """How a predictor does on rows that it has not seen, each in one of five folds.

    Kendall's tau, mean absolute error, and how often intervals held; None where there are too few
    rows to say.
    """
    n = len(accuracy)
    card: dict[str, Any] = {"n": n, "folds": _CARD_FOLDS, "kendall": None, "mean_error": None}
    card["coverage"] = {f"{level:g}": None for level in CARD_LEVELS}
    if n < 2 * _CARD_FOLDS:
        return card
    fold = folds_of(n, _CARD_FOLDS, seed)
    mean = np.empty(n)
    inside = np.full((len(CARD_LEVELS), n), np.nan)
    for k in range(_CARD_FOLDS):
        held = fold == k
        predictor = make()
        predictor.fit(features[~held], accuracy[~held])
        prediction = predictor.predict(features[held])
        mean[held] = prediction.mean
        for number, level in enumerate(CARD_LEVELS):
            low, high = prediction.interval(level).T
            if np.isfinite(low).all():
                inside[number, held] = (low <= accuracy[held]) & (accuracy[held] <= high)
    tau = kendall(mean, accuracy)
    card["kendall"] = None if np.isnan(tau) else round(tau, 4)
    card["mean_error"] = round(float(np.abs(mean - accuracy).mean()), 6)
    for number, level in enumerate(CARD_LEVELS):
        if np.isfinite(inside[number]).all():
            card["coverage"][f"{level:g}"] = round(float(inside[number].mean()), 4)
    return card
