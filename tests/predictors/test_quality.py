import numpy as np
import pytest

from predictors.base import Latent, Prediction, PredictorError, conformal_width
from predictors.ensemble import EnsemblePredictor
from predictors.quality import coverage, kendall, spearman, top_k_regret
from predictors.saved import SavedPredictor
from predictors.testing import learnable


def test_kendall_by_hand() -> None:
    # pairs of (1,2,3,4) and (1,3,2,4): five agree, one does not
    assert kendall(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])) == pytest.approx(4 / 6)


def test_spearman_by_hand() -> None:
    # 1 - 6 * sum of squared rank differences / (n (n^2 - 1)) = 1 - 6 * 2 / 60
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])) == pytest.approx(0.8)


def test_a_constant_has_no_rank_correlation() -> None:
    assert np.isnan(kendall(np.ones(4), np.arange(4.0)))


def test_regret_is_what_the_best_of_the_chosen_lacks() -> None:
    predicted, actual = np.array([0.9, 0.8, 0.1]), np.array([0.5, 0.7, 0.75])
    assert top_k_regret(predicted, actual, 2) == pytest.approx(0.05)


def test_conformal_width_by_hand() -> None:
    residuals = np.array([0.4, 0.1, 0.3, 0.2])
    assert conformal_width(residuals, 0.8) == 0.4  # ceil(5 * 0.8) = 4th smallest
    assert conformal_width(residuals, 0.6) == 0.3
    assert conformal_width(residuals, 0.9) == np.inf


def test_coverage_counts_what_lies_inside() -> None:
    residuals = np.array([0.1, 0.2, 0.3, 0.4])
    latent = Latent(np.full(4, 0.5), np.ones(4), lambda: residuals, lambda scores: scores)
    prediction = Prediction(np.full(4, 0.5), np.zeros(4), latent)
    assert coverage(prediction, np.array([0.5, 0.75, 0.2, 1.0]), 0.6) == 0.75


def test_intervals_cover_about_as_often_as_they_say() -> None:
    found = []
    for seed in range(10):
        predictor = EnsemblePredictor(seed=seed)
        predictor.fit(*learnable(60, seed))
        features, accuracy = learnable(100, 100 + seed)
        found.append(coverage(predictor.predict(features), accuracy, 0.8))
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


def test_a_saved_predictor_predicts_as_before(tmp_path) -> None:
    features, accuracy = learnable(40, 1)
    rows = np.arange(80).reshape(40, 2)
    SavedPredictor("ensemble", 5, features, accuracy, genotypes=rows).save(tmp_path / "p.zip")
    first = SavedPredictor("ensemble", 5, features, accuracy).fitted(EnsemblePredictor)
    again = SavedPredictor.load(tmp_path / "p.zip").fitted(EnsemblePredictor)
    fresh = learnable(10, 2)[0]
    assert np.array_equal(SavedPredictor.load(tmp_path / "p.zip").genotypes, rows)
    assert np.array_equal(first.predict(fresh).mean, again.predict(fresh).mean)


def test_a_file_that_is_no_predictor_is_refused(tmp_path) -> None:
    (tmp_path / "p.zip").write_bytes(b"no zip")
    with pytest.raises(PredictorError, match="not a saved predictor"):
        SavedPredictor.load(tmp_path / "p.zip")
