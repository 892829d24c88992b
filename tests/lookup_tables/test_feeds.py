"""What a file is timed on: a sample of its own where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookup_tables.errors import LookupTableError
from lookup_tables.measuring.feeds import (
    feeds_beside,
    feeds_for,
    keep_feeds,
    read_feeds,
    save_feeds,
)
from lookup_tables.model import OPEN, Input
from lookup_tables.runtimes.registry import runner
from lookup_tables.runtimes.registry import runtime as runtime_of
from lookup_tables.target import Target
from tests.recorded_models import HIDDEN, tagger

INPUTS = {"words": Input((1, OPEN), np.dtype("int64")), "file": Input((2,), np.dtype("float32"))}


def test_a_sample_beside_a_file_is_what_it_runs_on(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    given = {"words": np.array([[3, 1, 2]]), "file": np.array([0.5, 1.5], np.float32)}
    keep_feeds(model, given)  # an input may be called anything
    found = feeds_for(model, INPUTS)
    assert list(found) == ["words", "file"]
    for name, values in given.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_sample_that_is_sent_somewhere_is_the_same_there(tmp_path: Path) -> None:
    given = {"words": np.array([[3, 1, 2]]), "input/x": np.array(True), "": np.zeros((0, 2))}
    found = read_feeds(save_feeds(tmp_path / "sent", given))
    assert list(found) == list(given)
    for name, values in given.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert feeds_beside(tmp_path / "model.onnx") is None
    keep_feeds(tmp_path / "model.onnx", given)
    assert feeds_beside(tmp_path / "model.onnx") is not None


def test_without_a_sample_open_sizes_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LookupTableError, match="input words has open sizes"):
        feeds_for(tmp_path / "model.onnx", INPUTS)
    drawn = feeds_for(tmp_path / "model.onnx", {"file": INPUTS["file"]}, seed=3)
    again = feeds_for(tmp_path / "model.onnx", {"file": INPUTS["file"]}, seed=3)
    assert drawn["file"].shape == (2,)
    np.testing.assert_array_equal(drawn["file"], again["file"])


def test_a_file_of_words_is_run_and_told_its_memory_on_its_sample(tmp_path: Path) -> None:
    """Random numbers up to 126 are no words of forty: the file would break on them."""
    model = tagger(tmp_path / "tagger.onnx")
    target = Target("here", "onnxruntime", "", "fp32")
    sizes = []
    for length in (4, 64):
        sample = {
            "words": np.full((1, length), 39),
            "state": np.zeros((1, HIDDEN), np.float32),
            "gain": np.array(1.0, np.float32),
        }
        keep_feeds(model, sample)
        scores, state = runner(model, target)()  # type: ignore[misc]  # outputs in order
        assert scores.shape[:2] == (1, length)
        assert state.shape == (1, HIDDEN)
        (size,) = runtime_of("onnxruntime").peak_memory_bytes([model])
        assert size is not None
        sizes.append(size)
    assert sizes[1] > 4 * sizes[0]
