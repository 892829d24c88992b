"""What names say of parts, by spellings that people use, and names that only sound like it."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from nas_service.datasets.ingest import ingest
from nas_service.datasets.names import (
    HELD_OUT,
    TEST,
    TRAIN,
    VALIDATION,
    belongs_to_the_system,
    normal,
    part_of,
    speaks_of_a_part,
    words,
)
from tests.folders_of_pictures import folders

SPELLINGS = {
    TRAIN: ["train", "Training", "TRAIN", "seg_train", "train2017", "TrainSet", "trainval", "trn"],
    VALIDATION: ["val", "valid", "Validation", "val2017", "valid_set", "dev", "images_val"],
    TEST: ["test", "Testing", "test_set", "seg_test", "TestSet", "tests", "tst", "test-images"],
    HELD_OUT: ["eval", "holdout", "Evaluation", "heldout"],
}
NO_PARTS = ["cat", "train_cats", "testament", "validity", "model_train", "train_test", "développer"]


@pytest.mark.parametrize(
    ("part", "name"), [(p, n) for p, every in SPELLINGS.items() for n in every]
)
def test_spellings_of_parts(part: str, name: str) -> None:
    assert part_of(name) == part


@pytest.mark.parametrize("name", NO_PARTS)
def test_names_of_their_own_are_no_parts(name: str) -> None:
    assert part_of(name) is None


def test_what_all_siblings_share_says_nothing_of_one() -> None:
    siblings = ["flowers_train", "flowers_test"]
    assert [part_of(one, siblings) for one in siblings] == [TRAIN, TEST]
    assert part_of("flowers_train", ["flowers_train", "trains"]) is None


def test_words_know_capitals_marks_and_numbers() -> None:
    assert words("TestSet_2017-a") == ("test", "set", "a")
    assert speaks_of_a_part("train_cats")
    assert not speaks_of_a_part("trainee")


def test_accents_are_composed() -> None:
    apart = unicodedata.normalize("NFD", "café")
    assert apart != "café"
    assert normal(apart) == "café"


def test_what_file_managers_leave_is_the_systems() -> None:
    assert all(map(belongs_to_the_system, [".DS_Store", "._a.jpg", "Thumbs.db", "__MACOSX"]))
    assert not belongs_to_the_system("thumbs.jpg")


def test_names_that_are_no_text_are_written_out(tmp_path: Path) -> None:
    """Latin-1, as older systems wrote names; what is stored of them has to be sent as UTF-8."""
    folders(tmp_path / "data", "caf", "tea")
    latin = os.fsdecode(os.fsencode(tmp_path / "data") + b"/caf\xe9")
    (tmp_path / "data" / "caf").rename(latin)
    found = ingest(tmp_path / "data")
    assert set(found.classes) == {"caf\\udce9", "tea"}
    json.dumps(found.facts(), ensure_ascii=False).encode()
