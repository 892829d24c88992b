"""Metrics of outputs: by hand, and what all of them keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nas_service.errors import InvalidSpec, UnknownPlugin
from nas_service.learning.detection.boxes import overlaps
from nas_service.output_metrics.base import OutputMetric
from nas_service.output_metrics.boxes import detections_of
from nas_service.output_metrics.by_name import output_metric, require_metric
from nas_service.output_metrics.testing import OutputMetricContract
from nas_service.plugins import OUTPUT_METRICS, load, names
from nas_service.recorded.feeds import Array
from nas_service.recorded.outputs import JudgedOutputs


def _value(
    metric: str,
    found: Sequence[Array],
    original: Sequence[Array],
    targets: Sequence[Array] | None = None,
) -> float:
    named = [[{"y": np.asarray(one)} for one in some] for some in (found, original)]
    return output_metric(metric).value(JudgedOutputs(named[0], named[1], targets))


def _one_hot(*labels: int, n: int = 4) -> Array:
    return np.eye(n)[list(labels)][None]


def _answers(metric: str) -> tuple[list[Array], list[Array] | None]:
    """Outputs that a metric takes, and what is right of them where it needs that."""
    if metric == "map50":
        return [_detector([(50, 50, 20, 20, at % 2)]) for at in range(6)], None
    if metric == "miou":
        random = np.random.default_rng(0)
        return [random.normal(0, 1, (1, 3, 4, 4)) for _ in range(6)], None
    if metric == "auc":
        return [np.array([[float(at)]]) for at in range(6)], [np.array(at // 3) for at in range(6)]
    answers = [_one_hot(at % 4, (at + 1) % 4) for at in range(6)]
    return answers, [one.argmax(axis=-1) for one in answers] if metric == "accuracy" else None


@pytest.mark.parametrize("metric", names(OUTPUT_METRICS), indirect=True)
class TestMetrics(OutputMetricContract):
    @pytest.fixture
    def metric(self, request: pytest.FixtureRequest) -> type[OutputMetric]:
        kind: type[OutputMetric] = load(OUTPUT_METRICS, request.param)
        assert kind.name == request.param
        return kind

    @pytest.fixture
    def answers(self, metric: type[OutputMetric]) -> Sequence[Array]:
        return _answers(metric.name)[0]

    @pytest.fixture
    def targets(self, metric: type[OutputMetric]) -> Sequence[Array] | None:
        return _answers(metric.name)[1]


def test_a_name_that_no_metric_has_is_refused() -> None:
    with pytest.raises(UnknownPlugin, match="accuracy, auc, cosine"):
        require_metric("perplexity")


def test_auc_counts_pairs_in_order() -> None:
    scores = [np.array([one]) for one in (0.1, 0.4, 0.35, 0.8)]
    targets = [np.array(one) for one in (0, 0, 1, 1)]
    # of the four pairs of a 0 and a 1 three are in order
    assert _value("auc", scores, scores, targets) == pytest.approx(0.75)
    with pytest.raises(InvalidSpec, match="0 and 1, both of them"):
        _value("auc", scores, scores, [np.array(1)] * 4)


def test_text_is_what_is_left_of_repeats_and_blanks() -> None:
    spelled = _one_hot(0, 1, 1, 0, 1, 2, 2)  # 1 1 2
    same = _one_hot(1, 0, 1, 1, 1, 1, 2)
    other = _one_hot(1, 1, 1, 1, 2, 2, 2)  # 1 2
    assert _value("exact_match", [same, other], [spelled, spelled]) == 0.5
    right = [np.array([1, 1, 2, -1]), np.array([1, 2, -1, -1])]
    assert _value("exact_match", [same, other], [spelled, spelled], right) == 1.0


def test_iou_of_masks_by_hand() -> None:
    original = np.full((1, 1, 2, 2), 0.1)
    original[0, 0, 0] = 0.9  # the upper two of four
    found = original.copy()
    found[0, 0, 0, 1] = 0.2  # one of them is lost
    # foreground 1 of 2; background 2 of 3
    assert _value("miou", [found], [original]) == pytest.approx((1 / 2 + 2 / 3) / 2)
    with pytest.raises(InvalidSpec, match=r"takes \(1, classes, height, width\)"):
        _value("miou", [np.ones((1, 4))], [np.ones((1, 4))])


def _detector(boxes: Sequence[tuple[float, float, float, float, int]], score: float = 0.9) -> Array:
    """An output of two classes with these boxes, and places without any."""
    made = np.zeros((1, 6, 10))
    for at, (x, y, width, height, label) in enumerate(boxes):
        made[0, :4, at] = x, y, width, height
        made[0, 4 + label, at] = score - 0.1 * at
    return made


def test_overlaps_by_hand() -> None:
    one = np.array([[0.0, 0.0, 2.0, 2.0]])
    others = np.array([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0], [0.0, 0.0, 2.0, 2.0]])
    assert overlaps(one, others)[0].tolist() == pytest.approx([2 / 6, 0.0, 1.0])


def test_of_boxes_on_each_other_the_best_is_kept() -> None:
    found = detections_of(
        _detector([(50, 50, 20, 20, 0), (51, 50, 20, 20, 0), (90, 50, 8, 8, 1)])[0]
    )
    (kept,) = found.classes >= 0
    assert found.boxes[0][kept].tolist() == [[40.0, 40.0, 60.0, 60.0], [86.0, 46.0, 94.0, 54.0]]
    assert found.classes[0][kept].tolist() == [0, 1]
    assert found.scores[0][kept].tolist() == pytest.approx([0.9, 0.7])


def test_average_precision_by_hand() -> None:
    truth = [np.array([[0, 40, 40, 60, 60], [0, 80, 80, 100, 100], [-1, 0, 0, 0, 0]])]
    # the best box is wrong, the second meets the first of two: precision 1/2 at a recall of 1/2
    found = [_detector([(10, 10, 8, 8, 0), (50, 50, 20, 20, 0)])]
    assert _value("map50", found, found, truth) == pytest.approx(0.25)
    # in the right order: precision 1 at a recall of 1/2
    found = [_detector([(50, 50, 20, 20, 0), (10, 10, 8, 8, 0)])]
    assert _value("map50", found, found, truth) == pytest.approx(0.5)


def _apart(
    corners: Sequence[tuple[float, ...]], scores: Sequence[tuple[float, ...]], *, turned: bool
) -> dict[str, Array]:
    """Boxes and scores of one picture, places before what is told there, or behind it."""
    boxes, told = np.array([corners]), np.array([scores])
    if turned:
        return {"boxes": boxes.transpose(0, 2, 1), "scores": told.transpose(0, 2, 1)}
    return {"boxes": boxes, "scores": told}


@pytest.mark.parametrize("turned", [False, True])
def test_boxes_and_scores_that_are_told_apart(turned: bool) -> None:
    truth = [np.array([[0, 40, 40, 60, 60], [0, 80, 80, 100, 100]])]
    right, wrong, none = (40, 40, 60, 60), (6, 6, 14, 14), (0, 0, 0, 0)
    metric = output_metric("map50:boxes+scores")
    # as with one output: the best one wrong gives a quarter, the right order a half
    for order, found in (((wrong, right), 0.25), ((right, wrong), 0.5)):
        corners = [*order, none]
        told = _apart(corners, [(0.9, 0.0), (0.8, 0.0), (0.0, 0.0)], turned=turned)
        judged = JudgedOutputs([told], [told], truth)
        assert metric.value(judged) == pytest.approx(found)
    # against the original's own: the other class at one of two places
    scores = [(0.9, 0.1), (0.8, 0.0), (0.0, 0.0)]
    original = _apart([right, wrong, none], scores, turned=turned)
    changed = _apart([right, wrong, none], [(0.1, 0.9), *scores[1:]], turned=turned)
    assert metric.value(JudgedOutputs([original], [original])) == 1.0
    assert metric.value(JudgedOutputs([changed], [original])) == pytest.approx(0.5)


def test_a_worse_candidate_is_judged_and_not_refused() -> None:
    boxes = [(40, 40, 60, 60), (6, 6, 14, 14), (0, 0, 0, 0)]
    original = _apart(boxes, [(0.9, 0.1), (0.8, 0.0), (0.0, 0.0)], turned=False)
    turned = {**original, "boxes": original["boxes"][:, :, [2, 3, 0, 1]]}
    metric = output_metric("map50:boxes+scores")
    assert metric.value(JudgedOutputs([turned], [original])) == 0.0


def test_outputs_that_are_no_boxes_and_scores_are_named() -> None:
    told = _apart([(40, 40, 60, 60), (6, 6, 14, 14), (0, 0, 0, 0)], [(0.9, 0.1)] * 3, turned=False)
    middles = {**told, "boxes": told["boxes"][:, :, [2, 3, 0, 1]]}
    cases = [
        ("map50:scores+boxes", told, r"boxes are \(3, 2\), not four numbers"),
        ("map50:boxes+scores", middles, "67% of boxes end before they begin: corners x1, y1"),
        ("map50:boxes", told, "map50:BOXES\\+SCORES takes two"),
        ("map50:boxes+", told, "takes one output, or BOXES\\+SCORES, not boxes\\+"),
        ("map50:boxes+boxes", told, "takes one output, or BOXES\\+SCORES, not boxes\\+boxes"),
        (
            "map50:boxes+scores",
            {**told, "scores": told["scores"] - 3},
            "scores are -2.9 to 0: shares",
        ),
        (
            "map50:boxes+scores",
            {**told, "scores": np.zeros((1, 3, 3))},
            "which axis has the places",
        ),
        ("map50:boxes+classes", told, "no output 'classes'; there are boxes, scores"),
        ("map50:boxes+scores", {**told, "scores": np.zeros((1, 5, 2))}, "boxes at 3 places"),
    ]
    for metric, outputs, said in cases:
        with pytest.raises(InvalidSpec, match=said):
            output_metric(metric).value(JudgedOutputs([outputs], [outputs]))


def test_accuracy_of_one_number_and_of_labels() -> None:
    right = [np.array(one) for one in (0, 1, 1, 0)]
    shares = [np.array([[one]]) for one in (0.2, 0.7, 0.4, 0.1)]
    assert _value("accuracy", shares, shares, right) == 0.75
    labels = [np.array([one]) for one in (0, 1, 1, 1)]
    assert _value("accuracy", labels, labels, right) == 0.75


@pytest.mark.parametrize(
    ("target", "said"),
    [(4, "4, which is no class; output y has 4 classes"), (0.5, "0.5"), (-1, "-1")],
)
def test_a_target_that_is_no_class_is_named(target: float, said: str) -> None:
    answers = [_one_hot(1)]
    with pytest.raises(InvalidSpec, match=f"a target is {said}"):
        _value("accuracy", answers, answers, [np.array([[target]])])


def test_accuracy_of_an_output_without_axes() -> None:
    answers = [np.array(0.9), np.array(0.2)]
    assert _value("accuracy", answers, answers, [np.array(1), np.array(1)]) == 0.5


def test_cosine_and_same_decision_by_hand() -> None:
    original = [np.array([1.0, 0.0]), np.array([0.0, 2.0])]
    found = [np.array([3.0, 0.0]), np.array([2.0, 0.0])]
    assert _value("cosine", found, original) == pytest.approx(0.5)
    assert _value("same_decision", found, original) == 0.5


def test_tokens_are_compared_as_they_are() -> None:
    tokens, others = [np.array([[1, 2, 9]])], [np.array([[4, 5, 9]])]
    assert _value("exact_match", others, tokens) == 0.0
    assert _value("exact_match", tokens, tokens, [np.array([1, 2, 9, -1])]) == 1.0
    with pytest.raises(InvalidSpec, match="is one number, which is no text"):
        _value("exact_match", [np.array(0.5)], [np.array(0.5)])


def test_auc_takes_two_columns_and_nothing_but_0_and_1() -> None:
    scores = [np.array([[1 - one, one]]) for one in (0.1, 0.7, 0.4, 0.9)]
    hot = [np.eye(2)[one][None] for one in (0, 1, 0, 1)]
    assert _value("auc", scores, scores, hot) == 1.0
    assert _value("auc", scores, scores, [np.array(one) for one in (1, 0, 1, 0)]) == 0.0
    for wrong in (0.2, 2, 1.3):
        with pytest.raises(InvalidSpec, match="targets have to be 0 and 1"):
            _value("auc", scores, scores, [np.array(one) for one in (0, 1, 0, wrong)])
    with pytest.raises(InvalidSpec, match="one target a sample"):
        _value("auc", scores, scores, [np.array([1, 0, 1])] * 4)
    batch = [np.array([[0.9], [0.1]])] * 4
    with pytest.raises(InvalidSpec, match="takes a number a sample, or two"):
        _value("auc", batch, batch, hot)


def test_iou_leaves_out_what_is_not_asked_and_refuses_what_is_no_class() -> None:
    wanted = np.array([[0, 1, 2, 255], [2, 1, 0, 255]])
    scores = np.eye(3)[np.where(wanted == 255, 1, wanted)].transpose(2, 0, 1)[None]
    assert _value("miou", [scores], [scores], [wanted]) == 1.0
    assert _value("miou", [scores], [scores], [wanted[None]]) == 1.0
    for wrong, said in (
        (np.where(wanted == 2, 3, wanted), "a target is 3, which is no class"),
        (wanted + 0.5, "which is no class"),
        (wanted.T, r"a target is \(4, 2\)"),
        (np.full((2, 4), 255), "no pixel is asked about"),
    ):
        with pytest.raises(InvalidSpec, match=said):
            _value("miou", [scores], [scores], [wrong])
    foreground = np.array([[[[0.1, 0.9, 0.8]]]])
    assert _value("miou", [foreground], [foreground], [np.array([[0, 255, 255]])]) == 1.0
    two = np.concatenate([1 - foreground, foreground], axis=1)
    with pytest.raises(InvalidSpec, match="targets are 0 and 255, which is not asked about"):
        _value("miou", [two], [two], [np.array([[0, 255, 255]])])
    batch = np.concatenate([scores, scores])
    with pytest.raises(InvalidSpec, match="miou takes"):
        _value("miou", [batch], [batch])


def test_true_boxes_are_rows_of_five_and_of_classes() -> None:
    answer = _detector([(50, 50, 20, 20, 1)])
    right = np.array([[1.0, 40, 40, 60, 60], [-1, 0, 0, 0, 0]])
    assert _value("map50", [answer], [answer], [right]) == pytest.approx(1.0)
    for wrong, said in (
        (np.ones((5, 4)), "rows of class, x1"),
        (np.ones((2, 4)), "rows of class, x1"),
        (np.array([[7.0, 40, 40, 60, 60]]), "class is 7; the output has"),
        (np.array([[0.5, 40, 40, 60, 60]]), "class is 0.5"),
    ):
        with pytest.raises(InvalidSpec, match=said):
            _value("map50", [answer], [answer], [wrong])
    batch = np.concatenate([answer, answer])
    with pytest.raises(InvalidSpec, match="map50 takes"):
        _value("map50", [batch], [batch])


def test_empty_answers_of_whole_numbers_agree_and_tiny_ones_are_told_apart() -> None:
    none = [np.zeros((0, 3), np.int64)] * 4
    assert _value("fidelity", none, none) == 1.0
    assert _value("same_decision", none, none) == 1.0
    random = np.random.default_rng(0)
    original = [random.normal(size=(1, 5)) for _ in range(8)]
    found = [one + 0.4 * random.normal(size=(1, 5)) for one in original]
    tiny = _value("fidelity", [1e-19 * one for one in found], [1e-19 * one for one in original])
    assert tiny == pytest.approx(_value("fidelity", found, original), abs=1e-6)
