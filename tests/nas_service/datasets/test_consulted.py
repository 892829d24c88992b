"""Answers that concern nothing are refused; what they leave out is counted; groups in arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_service.datasets.answers import parse
from nas_service.datasets.ingest import ingest
from nas_service.datasets.inspection import Inspection, inspect
from nas_service.errors import NasError

GENERATOR = np.random.default_rng(0)
ARRAYS = {
    "x": GENERATOR.integers(0, 256, (60, 8, 8), dtype=np.uint8),
    "y": np.arange(60) % 3,
}


def _arrays(folder: Path, **more: Any) -> Path:
    np.savez(folder / "arrays.npz", **{**ARRAYS, **more})
    return folder / "arrays.npz"


def _folders(folder: Path) -> Path:
    for label in ("cat", "dog"):
        (folder / "set" / label).mkdir(parents=True)
        for number in range(12):
            pixels = GENERATOR.integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "set" / label / f"{number}.png")
    return folder / "set"


def _look(path: Path, **answers: Any) -> Inspection:
    return inspect(path, parse(answers))


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"label_column": "kind"}, "label_column: the source is class folders"),
        ({"group_column": "patient"}, "group_column: the source is class folders"),
        ({"layout": "arrays"}, "no arrays|layout"),
        ({"split": "Testing=test"}, "no folder is called 'Testing'"),
    ],
)
def test_answers_that_folders_do_not_ask_for(
    tmp_path: Path, answers: dict[str, Any], why: str
) -> None:
    with pytest.raises(NasError, match=why):
        _look(_folders(tmp_path), **answers)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"classes": "top"}, "classes: the source is arrays"),
        ({"image_column": "x"}, "image_column: the source is arrays"),
        ({"layout": "folders"}, "layout: the source is arrays, not class folders"),
        ({"split": "extra=ignore"}, "split: the source has no part 'extra'"),
        ({"group_column": "patient"}, "group_column: arrays.npz has no array 'patient'"),
    ],
)
def test_answers_that_arrays_do_not_ask_for(
    tmp_path: Path, answers: dict[str, Any], why: str
) -> None:
    with pytest.raises(NasError, match=why):
        _look(_arrays(tmp_path), **answers)


def test_rows_that_an_answer_leaves_out_are_counted_and_named(tmp_path: Path) -> None:
    split = np.where(np.arange(60) < 25, "extra", np.where(np.arange(60) < 50, "train", "test"))
    found = _look(_arrays(tmp_path, split=split), split="extra=ignore")
    (left,) = [one for one in found.report.set_aside if one["reason"] == "left out as answered"]
    assert left["n"] == 25
    assert left["names"][:2] == ["row 0", "row 1"]
    assert len(found.pictures) == 35


@pytest.mark.parametrize("name", ["patient", "groups", "mine"])
def test_groups_of_arrays_stay_on_one_side(tmp_path: Path, name: str) -> None:
    groups = np.array([f"p{number // 4}" for number in range(60)])
    path = _arrays(tmp_path, **{name: groups})
    answers = parse({"group_column": "mine"} if name == "mine" else {})
    found = ingest(path, answers)
    parts: dict[str, set[int]] = {}
    for row, part in zip(found.images, found.split, strict=True):
        (number,) = np.flatnonzero((ARRAYS["x"] == row[..., 0]).all(axis=(1, 2)))
        parts.setdefault(str(groups[number]), set()).add(int(part))
    assert len(parts) == 15
    assert all(len(one) == 1 for one in parts.values())
    assert f"pictures of one {name} stay on one side where parts are drawn" in found.report["notes"]
