"""Contract tests for accuracy predictors: subclass and provide the fixture `make`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from predictors.base import AccuracyPredictor, FloatArray, PredictorError
from predictors.quality import kendall


def learnable(n: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Features and accuracies of a smooth law with a little noise."""
    generator = np.random.default_rng(seed)
    features = generator.uniform(-1, 1, (n, 5))
    law = 0.7 + 0.15 * features[:, 0] + 0.08 * features[:, 1] ** 2 - 0.05 * features[:, 2]
    return features, np.clip(law + 0.005 * generator.standard_normal(n), 0, 1)


class AccuracyPredictorContract:
    """What every `AccuracyPredictor` keeps."""

    def test_it_learns_a_smooth_law(self, make: Callable[[], AccuracyPredictor]) -> None:
        predictor = make()
        predictor.fit(*learnable(80, 1))
        features, accuracy = learnable(200, 2)
        assert kendall(predictor.predict(features).mean, accuracy) > 0.6

    def test_predictions_are_fractions_with_deviations(
        self, make: Callable[[], AccuracyPredictor]
    ) -> None:
        predictor = make()
        predictor.fit(*learnable(30, 1))
        found = predictor.predict(learnable(50, 3)[0])
        assert found.mean.shape == found.std.shape == (50,)
        assert np.all((found.mean >= 0) & (found.mean <= 1) & (found.std >= 0))

    def test_equal_seeds_predict_alike(self, make: Callable[[], AccuracyPredictor]) -> None:
        first, second = make(), make()
        first.fit(*learnable(40, 1))
        second.fit(*learnable(40, 1))
        features = learnable(20, 4)[0]
        assert np.array_equal(first.predict(features).mean, second.predict(features).mean)

    def test_intervals_are_infinite_until_the_level_can_be_promised(
        self, make: Callable[[], AccuracyPredictor]
    ) -> None:
        predictor = make()
        predictor.fit(*learnable(6, 1))
        assert np.all(np.isinf(predictor.predict(learnable(3, 5)[0]).interval(0.95)))

    def test_predict_before_fit_is_refused(self, make: Callable[[], AccuracyPredictor]) -> None:
        with pytest.raises(PredictorError, match="before fit"):
            make().predict(np.zeros((1, 5)))

    def test_a_bad_accuracy_is_named(self, make: Callable[[], AccuracyPredictor]) -> None:
        features, accuracy = learnable(10, 1)
        accuracy[3] = 73.0
        with pytest.raises(PredictorError, match="row 3"):
            make().fit(features, accuracy)
