"""What a file answers to recorded samples on its device, and what is told of another's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from lookup_tables.measuring.feeds import keep_feeds
from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import Target
from nas_service.errors import StepFailed
from nas_service.recorded.feeds import Named, save_recorded
from nas_service.storage import devices
from nas_service.worker.delivery.built import Built
from nas_service.worker.delivery.model_judges import REFERENCE, SIGNATURE, RecordedJudge
from nas_service.worker.devices.reach import device_of
from tests.inline import Inline, inline
from tests.prepared import copied
from tests.recorded_models import HIDDEN, tagger


@pytest.fixture
def worker(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inline]:
    with inline(copied(prepared, tmp_path / "var"), monkeypatch) as made:
        yield made


def _samples() -> list[Named]:
    """Sentences of two lengths."""
    return [
        {
            "words": np.arange(n, dtype=np.int64)[None],
            "state": np.full((1, HIDDEN), 0.1 * n, np.float32),
            "gain": np.array(1.0, np.float32),
        }
        for n in (3, 5, 5)
    ]


def test_this_machine_answers_each_sample_with_all_outputs_by_place(
    worker: Inline, tmp_path: Path
) -> None:
    path = tagger(tmp_path / "tagger.onnx")
    keep_feeds(path, _samples()[0])  # what it is timed on
    with worker.context.database.session() as session:
        device = device_of(worker.context, devices.get_device(session, "here"))
    target = Target("here", "onnxruntime", runtime_versions()["onnxruntime"], "fp32")
    (found,) = device.load({"m": (path, target)}).answers(_samples()).values()
    session_ = onnxruntime.InferenceSession(str(path))
    for answer, sample in zip(found, _samples(), strict=True):
        expected = session_.run(None, dict(sample))
        assert list(answer) == [str(place) for place in range(len(expected))]
        for place, values in enumerate(expected):
            np.testing.assert_allclose(answer[str(place)], values, rtol=1e-5)


@pytest.fixture
def judge(tmp_path: Path) -> RecordedJudge:
    """Of a model of two outputs, `a` and `b`, that answered four samples."""
    outputs = [{"name": one, "dtype": "float32", "shape": [3]} for one in "ab"]
    inputs = [{"name": "x", "dtype": "float32", "shape": [3]}]
    (tmp_path / SIGNATURE).write_text(json.dumps({"inputs": inputs, "outputs": outputs}))
    save_recorded(tmp_path / REFERENCE, _right())
    return RecordedJudge(tmp_path, "fidelity")


def _right() -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    return [{one: generator.normal(size=3).astype(np.float32) for one in "ab"} for _ in range(4)]


def _there(tmp_path: Path, answers: list[Named]) -> Built:
    target = Target("board", "onnxruntime", "1", "fp32")
    return Built(tmp_path / "m.onnx", target, {}, answers_there=answers)


def test_what_a_device_answers_is_held_against_the_original(
    judge: RecordedJudge, tmp_path: Path
) -> None:
    same = [{"0": one["a"], "1": one["b"]} for one in _right()]
    first = judge.parity_there(_there(tmp_path, same[:2]), "fp32")
    assert first is not None
    assert first.ok
    swapped = [{"0": one["b"], "1": one["a"]} for one in _right()]
    other = judge.parity_there(_there(tmp_path, swapped), "fp32")
    assert other is not None
    assert not other.ok
    assert judge.parity_there(_there(tmp_path, []), "fp32") is None


def test_a_device_that_leaves_an_output_out_is_named(judge: RecordedJudge, tmp_path: Path) -> None:
    lacking = [{"0": one["a"]} for one in _right()]
    with pytest.raises(StepFailed, match="board answers with 1 outputs of 2 for onnxruntime fp32"):
        judge.parity_there(_there(tmp_path, lacking), "fp32")
