"""Inputs beside an architecture's own features: cheap accuracies, proxies, another data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from predictors.base import AccuracyPredictor, FloatArray, PredictorError

LOW_FIDELITY = "lowfidelity"
PROXY = "proxy"
WARM = "warm"


@dataclass(frozen=True)
class Inputs:
    """Features `(n, f)` with their names."""

    names: tuple[str, ...]
    features: FloatArray

    def __post_init__(self) -> None:
        if self.features.shape[1] != len(self.names):
            raise PredictorError(
                f"{self.features.shape[1]} features, but {len(self.names)} names for them"
            )

    def with_extra(self, group: str, columns: Mapping[str, FloatArray]) -> Inputs:
        """These features and further columns, one value a row, as a group of their own.

        Columns enter as normal scores of their ranks among the rows given: proxies reach over many
        orders of magnitude, accuracies after few epochs have a long tail. Give all rows that will
        be predicted, so that ranks mean the same in fitting and predicting. Missing values (NaN)
        take the middle rank.

        Raises:
            PredictorError: a column has another length.
        """
        scored = []
        for name, values in columns.items():
            column = np.asarray(values, dtype=np.float64)
            if column.shape != (len(self.features),):
                raise PredictorError(
                    f"{group}.{name} has shape {column.shape}, features {self.features.shape}"
                )
            scored.append(_normal_scores(column))
        names = tuple(f"{group}.{name}" for name in columns)
        own = tuple(name if "." in name else f"architecture.{name}" for name in self.names)
        return Inputs((*own, *names), np.column_stack([self.features, *scored]))


def _normal_scores(column: FloatArray) -> FloatArray:
    known = np.isfinite(column)
    scores = np.zeros(len(column))
    if known.any():
        ranks = stats.rankdata(column[known])
        scores[known] = stats.norm.ppf((ranks - 0.5) / known.sum())
    return scores


def warm_started(
    make: Callable[..., AccuracyPredictor],
    source: Inputs,
    source_accuracy: FloatArray,
    target: Inputs,
    *,
    seed: int = 0,
) -> Inputs:
    """`target` with what a predictor fitted on another data set says of its rows.

    The other data set's predictor reads the features that both have by name; what it predicts
    enters as one more feature, so that a predictor fitted on few rows of the new data learns how
    far to follow it. Left-out errors, and with them intervals, stay honest: no row of the new data
    was used.

    Raises:
        PredictorError: the two have no feature in common.
    """
    shared = [name for name in source.names if name in set(target.names)]
    if not shared:
        raise PredictorError("the two data sets share no feature by name")
    predictor = make(seed=seed, names=shared)
    predictor.fit(source.features[:, _columns(source.names, shared)], source_accuracy)
    mean = predictor.predict(target.features[:, _columns(target.names, shared)]).mean
    return target.with_extra(WARM, {"prediction": mean})


def _columns(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    place = {name: number for number, name in enumerate(names)}
    return [place[name] for name in wanted]
