"""What the predictors compute, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from predictors import kernel
from predictors.base import NODE_WEIGHTS, NODES, FloatArray, PredictorError
from predictors.ensemble import EnsemblePredictor
from predictors.gaussian_process import GaussianProcessPredictor
from predictors.inputs import Inputs, warm_started
from predictors.kernel import JITTER, Hyperparameters, Scaling, Smooth, groups_of
from predictors.linear import RidgePredictor
from predictors.quality import kendall, report_card
from predictors.scores import Scores
from predictors.testing import learnable

NAMES = ("size.a", "size.b", "layers.c", "layers.d", "layers.e")


def _covariance(rows: FloatArray, theta: Hyperparameters) -> FloatArray:
    """The kernel by its definition, pair by pair."""
    groups = [rows[:, :2], rows[:, 2:]]
    n = len(rows)
    found = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            squared = [
                float(((g[i] - g[j]) ** 2).sum()) / length**2
                for g, length in zip(groups, theta.lengths, strict=True)
            ]
            found[i, j] = theta.linear * rows[i] @ rows[j]
            found[i, j] += sum(
                a * np.exp(-0.5 * d) for a, d in zip(theta.amplitudes, squared, strict=True)
            )
            found[i, j] += theta.joint * np.exp(-0.5 * sum(squared) / theta.stretch**2)
    return found


def test_the_process_predicts_what_its_definition_says() -> None:
    features, accuracy = learnable(30, 1)
    fresh = learnable(10, 2)[0]
    predictor = GaussianProcessPredictor(names=NAMES)
    predictor.fit(features, accuracy)
    assert predictor._learned is not None
    _, scaling, theta = predictor._learned
    rows = scaling(np.concatenate([features, fresh]))
    whole = _covariance(rows, theta)
    known = whole[:30, :30] + (theta.noise + JITTER) * np.eye(30)
    scores = Scores(accuracy).scores
    mean = whole[30:, :30] @ np.linalg.solve(known, scores)
    variance = np.diag(whole)[30:] - np.einsum(
        "ij,ji->i", whole[30:, :30], np.linalg.solve(known, whole[:30, 30:])
    )
    found, std = predictor.predict_scores(fresh)
    assert np.allclose(found, mean, atol=2e-4)
    # of the explained variance as much may be missing as a tenth of a typical left-out one
    assert np.all(std**2 >= variance + theta.noise - 1e-3)
    typical = float(np.median(predictor.left_out_std)) ** 2
    assert np.mean(std**2 - variance - theta.noise) <= 0.12 * typical + 1e-3


def test_leaving_a_row_out_in_closed_form_is_fitting_without_it() -> None:
    features, accuracy = learnable(20, 3)
    predictor = GaussianProcessPredictor(names=NAMES)
    predictor.fit(features, accuracy)
    assert predictor._learned is not None
    _, scaling, theta = predictor._learned
    whole = _covariance(scaling(features), theta)
    scores = Scores(accuracy).scores
    for row in range(20):
        rest = np.arange(20) != row
        known = whole[np.ix_(rest, rest)] + (theta.noise + JITTER) * np.eye(19)
        mean = whole[row, rest] @ np.linalg.solve(known, scores[rest])
        assert predictor.left_out_mean[row] == pytest.approx(mean, abs=1e-6)


def test_a_group_is_left_out_together() -> None:
    features, accuracy = learnable(20, 3)
    twice = np.concatenate([features, features])
    again = np.concatenate([accuracy, accuracy])
    group = np.tile(np.arange(20), 2)
    alone, together = GaussianProcessPredictor(), GaussianProcessPredictor()
    alone.fit(twice, again)
    together.fit(twice, again, group=group)
    errors = [np.abs(one.left_out - again).mean() for one in (alone, together)]
    assert errors[1] > 1.5 * errors[0]  # a twin in the training set gives the answer away


def test_the_evidence_climbs_along_its_own_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    features, accuracy = learnable(15, 4)
    groups = groups_of(NAMES, 5)
    rows = Scaling.of(features, groups)(features)
    seen = {}

    def check(loss, start, **_):  # type: ignore[no-untyped-def]
        at = start + 0.1 * np.arange(len(start))
        seen["slope"] = loss(at)[1]
        seen["numeric"] = approx_fprime(at, lambda x: loss(x)[0], 1e-6)
        return type("Found", (), {"x": start})()

    monkeypatch.setattr(kernel.optimize, "minimize", check)
    kernel.learn(rows, groups, Scores(accuracy).scores)
    assert np.allclose(seen["slope"], seen["numeric"], rtol=1e-3, atol=1e-4)


def test_the_smooth_part_is_that_of_its_definition_in_one_group() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 5))
    theta = Hyperparameters(np.log([1e-9, 0.7, 1.3, 5.0, 1.0, 0.1]))
    found = Smooth(rows, groups_of((), 5), theta)(rows)
    squared = ((rows[:, None] - rows[None]) ** 2).sum(-1) / 1.3**2
    assert np.allclose(found, 0.7 * np.exp(-0.5 * squared))


def test_ridge_left_out_rows_are_those_of_refits() -> None:
    features, accuracy = learnable(12, 5)
    predictor = RidgePredictor()
    predictor.fit(features, accuracy)
    scores = Scores(accuracy).scores
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    design = np.column_stack([np.ones(12), scaled])
    refits = []
    for penalty in 12 * np.logspace(-3, 2, 16):
        left = []
        for row in range(12):
            rest = np.arange(12) != row
            gram = design[rest].T @ design[rest] + penalty * np.diag([0, 1, 1, 1, 1, 1])
            left.append(design[row] @ np.linalg.solve(gram, design[rest].T @ scores[rest]))
        refits.append(left)
    assert np.isclose(np.array(refits), predictor.left_out_mean, atol=1e-6).all(axis=1).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_scores_go_back_to_the_accuracies_they_came_from(values: list[float]) -> None:
    accuracy = np.array(values)
    scores = Scores(accuracy)
    assert np.allclose(scores.accuracy(scores.scores), accuracy)
    line = scores.accuracy(np.linspace(-5, 5, 101))
    assert np.all(np.diff(line) >= 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_the_table_of_scores_is_within_a_step_of_the_line(values: list[float]) -> None:
    scores = Scores(np.array(values))
    anywhere = np.linspace(-5, 5, 997)
    found, step = scores.nearly(anywhere), 1 / 512
    assert np.all(found >= scores.accuracy(anywhere - step) - 1e-12)
    assert np.all(found <= scores.accuracy(anywhere + step) + 1e-12)
    assert np.all(np.diff(found) >= 0)


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=30, unique_by=lambda v: round(v, 3)))
def test_any_accuracy_has_a_score_that_leads_back_to_it(values: list[float]) -> None:
    known = np.round(np.array(values), 3)
    scores = Scores(known)
    anywhere = np.linspace(0.0, 1.0, 41)
    assert np.allclose(scores.accuracy(scores.of(anywhere)), anywhere, atol=1e-9)
    assert np.allclose(scores.of(known), scores.scores)


@pytest.mark.parametrize("n", [20, 50])
def test_intervals_cover_what_they_say_when_rows_are_few(n: int) -> None:
    """Pooled over 24 seeds, within four points; closed-form errors alone cover less."""
    inside = []
    for seed in range(24):
        features, accuracy = learnable(n + 100, seed)
        accuracy = np.clip(
            accuracy + 0.02 * np.random.default_rng(seed).standard_normal(n + 100), 0, 1
        )
        predictor = GaussianProcessPredictor(seed=seed)
        predictor.fit(features[:n], accuracy[:n])
        low, high = predictor.predict(features[n:]).interval(0.8).T
        inside.append((low <= accuracy[n:]) & (accuracy[n:] <= high))
    assert abs(np.mean(inside) - 0.8) < 0.04


def test_what_becomes_of_the_arguments_later_changes_nothing() -> None:
    features, accuracy = learnable(30, 1)
    fresh = learnable(5, 2)[0]
    one, other = GaussianProcessPredictor(), GaussianProcessPredictor()
    one.fit(features, accuracy)
    other.fit(features.copy(), accuracy.copy())
    features[:], accuracy[:] = 0.0, 0.5
    assert np.array_equal(one.predict(fresh).interval(0.8), other.predict(fresh).interval(0.8))


def test_fitting_again_forgets_which_accuracies_were_equal() -> None:
    features, accuracy = learnable(20, 1)
    tied = accuracy.copy()
    order = np.argsort(accuracy)
    tied[order[5:8]] = tied[order[5]]
    used, new = GaussianProcessPredictor(), GaussianProcessPredictor()
    used.fit(features, tied)
    used.fit(features, accuracy)
    new.fit(features, accuracy)
    fresh = learnable(5, 2)[0]
    assert np.array_equal(used.predict(fresh).mean, new.predict(fresh).mean)


def test_names_that_do_not_fit_the_features_are_refused() -> None:
    with pytest.raises(PredictorError, match="5 features, but 2 names"):
        GaussianProcessPredictor(names=("a", "b")).fit(*learnable(20, 1))


def test_the_nodes_integrate_a_normal_variable() -> None:
    assert NODE_WEIGHTS.sum() == pytest.approx(1)
    assert pytest.approx(1) == NODE_WEIGHTS @ NODES**2
    assert pytest.approx(3) == NODE_WEIGHTS @ NODES**4


@pytest.mark.parametrize("kind", [RidgePredictor, GaussianProcessPredictor, EnsemblePredictor])
def test_equal_accuracies_are_predicted_everywhere(kind: type[EnsemblePredictor]) -> None:
    features = learnable(12, 6)[0]
    predictor = kind()
    predictor.fit(features, np.full(12, 0.7))
    found = predictor.predict(learnable(5, 7)[0])
    assert np.allclose(found.mean, 0.7)
    assert np.isfinite(found.std).all()


def test_one_row_is_too_few_and_says_so() -> None:
    with pytest.raises(PredictorError, match="at least 2 rows, got 1"):
        GaussianProcessPredictor().fit(np.zeros((1, 3)), np.array([0.5]))


def test_a_missing_accuracy_is_named() -> None:
    features, accuracy = learnable(10, 1)
    accuracy[7] = np.nan
    with pytest.raises(PredictorError, match="row 7"):
        EnsemblePredictor().fit(features, accuracy)


def test_the_default_follows_the_member_that_predicts_left_out_rows_best() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(80, 4))
    steps = EnsemblePredictor()  # only trees see a step on a grid of noise
    steps.fit(features, 0.5 + 0.2 * (features[:, 0] * features[:, 1] > 0) + 0.02 * features[:, 2])
    line = EnsemblePredictor()
    line.fit(features, np.clip(0.5 + 0.1 * features[:, 0], 0, 1))
    assert steps.weights["RidgePredictor"] < 0.2
    assert line.weights["ForestPredictor"] == 0.0


def test_a_column_of_ranks_joins_as_a_group_of_its_own() -> None:
    inputs = Inputs(("a", "b"), np.arange(8.0).reshape(4, 2))
    more = inputs.with_extra("proxy", {"synflow": np.array([1e30, 1.0, np.nan, 5.0])})
    assert more.names == ("architecture.a", "architecture.b", "proxy.synflow")
    column = more.features[:, 2]
    assert column[2] == 0.0  # unknown: the middle
    assert column[1] < column[3] < column[0]
    assert column[3] == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(PredictorError, match=r"proxy\.macs has shape \(3,\)"):
        inputs.with_extra("proxy", {"macs": np.zeros(3)})


def test_another_data_set_helps_where_few_rows_are_known() -> None:
    names = ("a", "b", "c", "d", "e")
    source, source_accuracy = learnable(150, 8)
    target, accuracy = learnable(120, 9)
    accuracy = np.clip(accuracy - 0.2, 0, 1) ** 1.5  # another scale, the same order
    warm = warm_started(
        GaussianProcessPredictor, Inputs(names, source), source_accuracy, Inputs(names, target)
    )
    taus = []
    for inputs in (Inputs(names, target), warm):
        predictor = GaussianProcessPredictor(names=inputs.names)
        predictor.fit(inputs.features[:8], accuracy[:8])
        taus.append(kendall(predictor.predict(inputs.features[8:]).mean, accuracy[8:]))
    assert taus[1] > taus[0]
    with pytest.raises(PredictorError, match="share no feature"):
        warm_started(
            RidgePredictor, Inputs(names, source), source_accuracy, Inputs(("x",), target[:, :1])
        )


def test_a_report_card_tells_a_good_predictor_from_noise() -> None:
    features, accuracy = learnable(60, 10)
    good = report_card(GaussianProcessPredictor, features, accuracy)
    shuffled = np.random.default_rng(0).permutation(accuracy)
    bad = report_card(GaussianProcessPredictor, features, shuffled)
    assert good["n"] == 60
    assert good["kendall"] > 0.8 > 0.3 > bad["kendall"]
    assert good["mean_error"] < bad["mean_error"]
    assert 0.6 <= good["coverage"]["0.8"] <= 1.0
    few = report_card(GaussianProcessPredictor, features[:6], accuracy[:6])
    assert few["kendall"] is None
    assert few["coverage"] == {"0.8": None, "0.9": None}
