"""Scores are shown as values of the search's metric, under the metric's own name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nas_service.dashboard as dashboard
from nas_service.api.documents.winners import MetricScale
from nas_service.dashboard.formats import Scale, metric_name
from tests.browser import chromium

SCALES = [
    # of an area under the curve .8 is three fifths of the way from guessing to being right
    (MetricScale(name="auc", label="AUC", best=1.0, worst=0.5), 0.6, "80.0 %", "+5 points", 80.0),
    (MetricScale(), 0.925, "92.5 %", "+10 points", 92.5),
    (
        MetricScale(name="error", label="error", unit="mm", best=0.0, worst=20.0),
        0.75,
        "5.000 mm",
        "-2 mm",
        5.0,
    ),
]


@pytest.mark.parametrize(("told", "score", "text", "gain", "number"), SCALES)
def test_a_score_is_shown_as_its_metrics_value(
    told: MetricScale, score: float, text: str, gain: str, number: float
) -> None:
    scale = Scale.of(told)
    assert scale.text(score) == text
    assert scale.gain(0.1) == gain
    del number


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("", "accuracy"),
        ("macro_f1", "macro F1"),
        ("miou", "mIoU"),
        ("auc", "AUC"),
        ("r2", "R²"),
        ("own_metric", "own metric"),
    ],
)
def test_metrics_have_the_names_that_their_tasks_give_them(name: str, label: str) -> None:
    assert metric_name(name) == label


@pytest.mark.slow
def test_the_plot_shows_the_same_values() -> None:
    script = (Path(dashboard.__file__).parent / "static" / "format.js").read_text()
    plain = script.replace("export const", "var")
    with chromium() as browser:
        page = browser.new_page()
        for told, score, _, _, number in SCALES:
            given = json.dumps(told.model_dump())
            found = page.evaluate(
                f"(() => {{ {plain}; showScoresAs({given}); "
                f"return [metricValue({score}), metricName('{told.name}'), metricSpread(.1)] }})()"
            )
            spread = 0.1 * abs(told.best - told.worst) * (1 if told.unit else 100)
            assert found == [pytest.approx(number), told.label, pytest.approx(spread)]
