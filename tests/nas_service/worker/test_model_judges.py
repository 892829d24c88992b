"""Judges of recorded models: being the same network is one question, being right another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lookup_tables.target import Target
from nas_service.compression import quantization
from nas_service.compression.base import GraphContext
from nas_service.compression.graph_samples import RecordedSamples, outputs_of
from nas_service.errors import Unsupported
from nas_service.output_metrics.by_name import output_metric
from nas_service.recorded.feeds import Named, save_recorded
from nas_service.recorded.given import Given, read_given
from nas_service.recorded.signature import Signature, Tensor
from nas_service.worker.delivery.built import Built
from nas_service.worker.delivery.model_judges import REFERENCE, SIGNATURE, RecordedJudge
from tests.recorded_models import CLASSES, HIDDEN, sentences, tagger

MASKS = Signature((Tensor("x", "float32", (1,)),), (Tensor("mask", "float32", (1, 2, 4, 4)),))


def _judge(folder: Path, answers: list[Named], targets: list[np.ndarray]) -> RecordedJudge:
    (folder / SIGNATURE).write_text(json.dumps(MASKS.as_dict()))
    save_recorded(folder / REFERENCE, answers)
    save_recorded(folder / "targets.npz", [{"targets": one} for one in targets])
    return RecordedJudge(folder, "miou")


def _built(answers: list[Named]) -> Built:
    return Built(Path("m.onnx"), Target("here", "onnxruntime", "1", "fp32"), {}, answers=answers)


def test_a_model_that_is_often_wrong_is_the_same_network_as_itself(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    answers: list[Named] = [{"mask": random.normal(0, 1, (1, 2, 4, 4))} for _ in range(6)]
    targets = [random.integers(0, 2, (4, 4)) for _ in range(6)]
    judge = _judge(tmp_path, answers, targets)
    assert judge.score(_built(answers)) < 0.6  # by chance
    same = judge.parity(_built(answers), "fp32")
    assert same.ok, same.why
    assert same.agreement == 1.0


@pytest.mark.parametrize("broken", [np.full((1, 2, 4, 4), np.nan), np.zeros((1, 2, 4, 5))])
def test_what_cannot_be_compared_scores_nothing_and_says_why(
    broken: np.ndarray, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    answers: list[Named] = [{"mask": random.normal(0, 1, (1, 2, 4, 4))} for _ in range(6)]
    judge = _judge(tmp_path, answers, [np.zeros((4, 4), np.int64)] * 6)
    found: list[Named] = [*answers[:5], {"mask": broken}]
    assert judge.score(_built(found)) == 0.0
    told = judge.parity(_built(found), "int8")
    assert not told.ok
    assert "output mask" in told.why


def test_what_loses_too_much_in_every_layer_is_no_int8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = tagger(tmp_path / "tagger.onnx")
    signature = Signature(
        (
            Tensor("words", "int64", (1, None)),
            Tensor("state", "float32", (1, HIDDEN)),
            Tensor("gain", "float32", ()),
        ),
        (
            Tensor("scores", "float32", (1, None, CLASSES)),
            Tensor("next_state", "float32", (1, HIDDEN)),
        ),
    )
    given: Given = read_given([sentences(tmp_path / "s.npz", 12, 9, seed=1)], signature, "samples")
    names = [one.name for one in signature.outputs]
    answers: list[Named] = [
        dict(zip(names, one, strict=True)) for one in outputs_of(graph, given.samples)
    ]
    samples = RecordedSamples(given, answers, output_metric("fidelity"))
    assert samples.score(graph) == 1.0
    context = GraphContext(samples, 0, {"max_loss": 0.5, "n_images": 12})
    quantization.MixedInt8Pass().apply(graph, tmp_path / "int8.onnx", context)
    assert samples.score(tmp_path / "int8.onnx") >= 0.5
    monkeypatch.setattr(RecordedSamples, "score", lambda _, path: 1.0 if path == graph else -np.inf)
    with pytest.raises(Unsupported, match="none of 3 layers can be in int8"):
        quantization.MixedInt8Pass().apply(graph, tmp_path / "refused.onnx", context)
    assert not (tmp_path / "refused.onnx").exists()
