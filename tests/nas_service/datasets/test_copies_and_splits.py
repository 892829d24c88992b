"""Equal pictures, nearly equal ones, and which part each picture is in, by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_service.datasets.copies import mostly_elsewhere, on_one_side
from nas_service.datasets.duplicates import nearly_same, same_bytes, same_pixels
from nas_service.datasets.ingest import ingest
from nas_service.datasets.pictures import Picture
from nas_service.datasets.splits import TEST, TRAIN, VALIDATION, split_of
from nas_service.errors import InvalidData
from tests.folders_of_pictures import folders, noise

GENERATOR = np.random.default_rng(0)


def _images(n: int, side: int = 8) -> np.ndarray:
    return GENERATOR.integers(0, 256, (n, side, side, 1), dtype=np.uint8)


def test_equal_pixels_point_to_the_first_of_them() -> None:
    images = _images(4)
    together = images[[0, 1, 0, 2, 1, 3]]
    assert same_pixels(together).tolist() == [0, 1, 0, 3, 1, 5]


def test_arrays_of_equal_bytes_are_grouped() -> None:
    images = _images(3)
    pictures = [Picture(str(i), "a", images[row], None) for i, row in enumerate([0, 1, 0, 2])]
    assert same_bytes(pictures) == [[0, 2]]


def test_what_looks_the_same_in_another_part_is_named() -> None:
    smooth = np.linspace(0, 250, 64).reshape(8, 8, 1)
    first = smooth.astype(np.uint8)
    second = np.clip(smooth + 1, 0, 255).astype(np.uint8)
    other = _images(1)[0]
    images = np.stack([first, second, other])
    assert nearly_same(images, np.array([0, 2, 2])) == [(0, 1)]
    assert nearly_same(images, np.array([0, 0, 2])) == []  # in one part it is no harm
    assert nearly_same(np.stack([first, first]), np.array([0, 2])) == []  # equal is told elsewhere


@given(
    st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 5)), min_size=1, max_size=30),
)
def test_a_picture_stays_in_the_part_that_judges_most(rows: list[tuple[int, int]]) -> None:
    given_parts = np.array([part for part, _ in rows])
    pixels = [which for _, which in rows]
    copy_of = np.array([pixels.index(one) for one in pixels])
    kept = on_one_side(given_parts, copy_of)
    for which in set(pixels):
        of_it = [i for i, one in enumerate(pixels) if one == which]
        best = max(given_parts[of_it])
        assert all(kept[i] == (given_parts[i] == best) for i in of_it)


def test_losing_most_of_a_class_to_copies_is_asked() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    parts = np.array([TRAIN] * 6)
    kept = np.array([False, False, False, True, True, True])
    question = mostly_elsewhere(labels, parts, kept, ["cat", "dog"])
    assert question is not None
    assert "3 of 4 pictures of class 'cat' in the train part" in question.text
    assert mostly_elsewhere(labels, parts, np.ones(6, bool), ["cat", "dog"]) is None


def test_a_fifth_each_of_every_class_is_drawn_and_the_same_again() -> None:
    images, labels = _images(200), np.arange(200) % 4
    none = np.full(200, -1)
    split = split_of(images, labels, none, seed=3)
    for label in range(4):
        own = split[labels == label]
        assert np.bincount(own).tolist() == [30, 10, 10]
    assert np.array_equal(split, split_of(images, labels, none, seed=3))
    assert not np.array_equal(split, split_of(images, labels, none, seed=4))


def test_given_parts_stay_and_only_what_is_missing_is_drawn() -> None:
    images, labels = _images(100), np.arange(100) % 2
    parts = np.where(np.arange(100) < 30, TEST, TRAIN)
    split = split_of(images, labels, parts, seed=0)
    assert (split[:30] == TEST).all()
    assert (split[30:] != TEST).all()
    assert (split == VALIDATION).sum() == 14


def test_copies_and_groups_are_drawn_as_one() -> None:
    images, labels = _images(120), np.zeros(120, np.int64)
    labels[60:] = 1
    copy_of = np.arange(120)
    copy_of[1:60:2] = np.arange(0, 60, 2)
    split = split_of(images, labels, np.full(120, -1), seed=1, copy_of=copy_of)
    assert np.array_equal(split, split[copy_of])
    groups = np.arange(120) // 6
    together = split_of(images, labels, np.full(120, -1), seed=1, groups=groups)
    for group in range(20):
        assert len(set(together[groups == group].tolist())) == 1
    with pytest.raises(InvalidData, match="3 groups: at least 5"):
        split_of(images, labels, np.full(120, -1), seed=1, groups=np.arange(120) // 40)


def test_the_same_pixels_in_two_classes_are_told_whatever_the_files(tmp_path: Path) -> None:
    """As PNG and as BMP bytes differ; what stands there three times is one picture."""
    folders(tmp_path / "data", "cat", "dog", n=12)
    noise(0).save(tmp_path / "data" / "dog" / "same.bmp")
    noise(1).save(tmp_path / "data" / "dog" / "also.png")
    noise(1).save(tmp_path / "data" / "dog" / "again.bmp")
    found = ingest(tmp_path / "data")
    torn = [one for one in found.report["notes"] if "more than one class" in one]
    assert torn == ["2 pictures stand in more than one class, as cat/0_001.png and dog/again.bmp"]
