"""How graphs are scored on recorded samples: a standard error below what was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nas_service.compression.graph_samples import RecordedSamples
from nas_service.output_metrics.by_name import output_metric
from nas_service.recorded.given import Given

CLASSES = 4


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Gives what it is given."""
    given, told = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, CLASSES]) for name in "xy"
    )
    made = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [given], [told])
    path = tmp_path / "same.onnx"
    onnx.save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def test_what_the_original_gets_wrong_too_is_no_loss(graph: Path) -> None:
    """Of labels, that three in ten are not met is no doubt about what int8 loses."""
    samples = _samples(64, [])
    right = np.array([one["x"].argmax() for one in samples.given.samples])
    targets = np.where(np.arange(64) % 10 < 3, (right + 1) % CLASSES, right)
    given = Given(samples.given.samples, tuple(targets))
    told = RecordedSamples(given, samples.answers, output_metric("accuracy"))
    assert told.score(graph) == pytest.approx((right == targets).mean())


def _samples(n: int, wrong: list[int]) -> RecordedSamples:
    """Samples that the original answers with what it is given, but for those `wrong`."""
    x = np.random.default_rng(0).normal(size=(n, 1, CLASSES)).astype(np.float32)
    answers = x.copy()
    answers[wrong] = np.roll(answers[wrong], 1, axis=-1)
    given = Given(tuple({"x": one} for one in x))
    return RecordedSamples(given, [{"y": one} for one in answers], output_metric("same_decision"))


@pytest.mark.parametrize(
    ("n", "wrong", "error"),
    [
        (128, [], 0.0),
        # eight parts of 16, two of which lack one sample: standard deviation .0289, over root 8
        (128, [0, 9], 0.01023),
        (128, [0, 8], 0.0125 * 1.25),  # both in one part: 1/8 less there, over 8
        (12, [3], 0.0),  # too few to tell
    ],
)
def test_a_score_is_a_standard_error_below_what_was_found(
    graph: Path, n: int, wrong: list[int], error: float
) -> None:
    found = 1.0 - len(wrong) / n
    assert _samples(n, wrong).score(graph) == pytest.approx(found - error, abs=1e-4)
