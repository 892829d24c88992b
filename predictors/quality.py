"""How good predictions are: rank correlations, coverage, errors."""

from __future__ import annotations

import numpy as np
from scipy import stats

from predictors.base import FloatArray, Prediction


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
