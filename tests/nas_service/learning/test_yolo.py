"""How YOLO's files of boxes are read, and what is refused of them, with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_service.errors import InvalidData
from tests.boxed_pictures import picture, read, yolo


def test_yolo_is_read(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    (source / "labels" / "p03.txt").write_text("")  # nothing is on it
    found = read(source)
    assert found.classes == ("cat", "dog")
    first = found.boxes[found.boxes[..., 0] == 0]
    assert np.allclose(first, [[0, 0.125, 0.3, 0.375, 0.7]])
    assert int((found.boxes[..., 0] == -1).all(axis=1).sum()) == 1
    report = found.facts()["report"]
    assert report["layout"] == "YOLO"
    assert any("pictures that nothing is on: 1" in one for one in report["notes"])


@pytest.mark.parametrize("within", ["frames", "x", "photos/frames", "camera"])
def test_folders_of_one_name_lie_within_those_of_pictures_and_boxes(
    tmp_path: Path, within: str
) -> None:
    for kind in ("images", "labels"):
        made = yolo(tmp_path / "made") / kind
        (tmp_path / "set" / kind / within).parent.mkdir(parents=True, exist_ok=True)
        made.rename(tmp_path / "set" / kind / within)
    found = read(tmp_path / "set")
    assert len(found.boxes) == 12
    assert found.facts()["report"]["set_aside"] == []


def test_two_folders_within_images_may_have_pictures_of_one_name(tmp_path: Path) -> None:
    made = yolo(tmp_path / "made", parts=("frames", "photos"))
    found = read(made)
    assert len(found.boxes) == 24
    assert found.facts()["report"]["set_aside"] == []


def test_boxes_may_lie_beside_frames_within_images(tmp_path: Path) -> None:
    made = yolo(tmp_path / "made")
    (tmp_path / "set" / "images").mkdir(parents=True)
    (made / "images").rename(tmp_path / "set" / "images" / "frames")
    (made / "labels").rename(tmp_path / "set" / "images" / "labels")
    found = read(tmp_path / "set")
    assert len(found.boxes) == 12
    assert (found.boxes[..., 0] >= 0).any(axis=1).all()


def test_turned_pictures_are_told_with_what_their_boxes_are_taken_for(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    picture = next(iter(sorted((source / "images").glob("*.png"))))
    tags = Image.Exif()
    tags[0x0112] = 3
    with Image.open(picture) as opened:
        opened.load()
        opened.save(picture, exif=tags)
    (note,) = [one for one in read(source).facts()["report"]["notes"] if "EXIF" in one]
    assert note.endswith(": 1; their boxes are taken to be drawn on the upright pictures")


@pytest.mark.parametrize(
    ("train", "other"),
    [
        ("images/siteA", "images/siteB"),
        ("/home/me/set/images/siteA", "../set/images/siteB"),
        ("[images/siteA, images/siteC]", "images/siteB"),
    ],
)
def test_parts_are_those_that_data_yaml_names_folders_for(
    tmp_path: Path, train: str, other: str
) -> None:
    source = yolo(tmp_path / "set", parts=("siteA", "siteB", "siteC", "val"))
    text = f"train: {train}\nval: images/val\ntest: {other}\nnames: [cat, dog, bird]\n"
    (source / "data.yaml").write_text(text)
    found = read(source)
    n_train = 24 if "siteC" in train else 12
    counts = np.bincount(found.split, minlength=3)
    if "siteC" in train:
        assert counts.tolist() == [n_train, 12, 12]
    assert counts.sum() == 48
    assert counts[2] >= 12
    (note,) = [one for one in found.facts()["report"]["notes"] if "data.yaml" in one]
    assert "images/siteA for train" in note
    assert "images/siteB for test" in note


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("/content/tr/images", "/content/va/images"),
        ("/content/ds/images", "/content/ds/images"),
        ("images", "images"),
        ("images/train", "images/train"),
        ("../train/images", "/content/ds/val/images"),
    ],
)
def test_folders_that_are_called_as_parts_stay_these(tmp_path: Path, train: str, val: str) -> None:
    """Whatever is left of paths from elsewhere, as every set has `images` somewhere."""
    source = yolo(tmp_path / "set", parts=("train", "val", "test"))
    text = f"train: {train}\nval: {val}\ntest: ../test/images\nnames: [cat, dog, bird]\n"
    (source / "data.yaml").write_text(text)
    found = read(source)
    assert np.bincount(found.split).tolist() == [12, 12, 12]
    assert not any("parts are as" in one for one in found.report["notes"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ci/two.yaml", "a: 1\n---\nb: 2\n"),
        ("ci/template.yaml", "a: {{ b }}\n"),
        ("ci/m.yaml", "names: null\n"),
        ("extra/names.txt", "a\n\nb\n"),
    ],
)
def test_files_further_in_that_say_nothing_of_classes_are_left_alone(
    tmp_path: Path, name: str, text: str
) -> None:
    source = yolo(tmp_path / "set")
    (source / name).parent.mkdir()
    (source / name).write_text(text)
    assert read(source).classes == ("cat", "dog")


def test_a_folder_for_two_parts_is_told_of(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set", parts=("a", "b"))
    text = "train: images/a\nval: images/a\ntest: images/b\nnames: [cat, dog, bird]\n"
    (source / "data.yaml").write_text(text)
    found = read(source)
    assert (np.bincount(found.split, minlength=3) > 0).all()
    assert any("names images/a for more than one" in one for one in found.report["notes"])


def test_names_that_two_files_say_otherwise_are_told_of(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    (source / "classes.txt").write_text("cat\nhound\nbird\n")
    told = [one for one in read(source).report["notes"] if one.startswith("classes are named")]
    assert len(told) == 1
    assert "classes.txt" in told[0]
    (source / "data.yaml").write_text("names: {'0': cat, '1': dog, '2': bird}\n")
    (source / "classes.txt").write_text("cat\n\ndog\nbird\n")
    with pytest.raises(InvalidData, match=r"classes\.txt: line 2 is empty"):
        read(source)
    (source / "classes.txt").unlink()
    assert read(source).classes[:2] == ("cat", "dog")


def test_blank_lines_are_no_boxes(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    for file in (source / "labels").glob("*.txt"):
        file.write_text("\n" + file.read_text().replace("\n", "\n\n"))
    assert (read(source).boxes[..., 0] >= 0).sum() == 24


def test_parts_of_yolo_are_folders(tmp_path: Path) -> None:
    facts = read(yolo(tmp_path / "set", 5, ("train", "val", "test"))).facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [5, 5, 5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0.5 0.5 0.25\n", "p03.txt: line 1 has 4 numbers; a box is class, x, y, width, height"),
        ("0 0.1 0.1 0.9 0.1 0.9 0.9\n", "line 1 has 7 numbers; .*: is it an outline?"),
        ("0 0.5 0.5 0.2 0.2\ncat 0.5 0.5 0.2 0.2\n", "line 2 has words that are no numbers"),
        ("0.5 0.5 0.5 0.2 0.2\n", "line 1: class 0.5 is no whole number"),
        ("0 32 20 16 10\n", "line 1 has 32; numbers are shares of the picture"),
        ("0 0.9 0.5 0.5 0.2\n", "line 1: the box from .* lies outside of its picture of 64x40"),
        ("0 nan 0.5 0.5 0.2\n", "line 1: a box has sides that are no numbers"),
        ("3 0.5 0.5 0.5 0.2\n", "p03.png has a box of class 3, 3 are named"),
    ],
)
def test_what_is_wrong_with_yolo_is_said_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    source = yolo(tmp_path / "set")
    (source / "labels" / "p03.txt").write_text(text)
    with pytest.raises(InvalidData, match=said):
        read(source)


def test_boxes_for_half_of_the_pictures_are_refused(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    for k in range(6, 12):
        (source / "labels" / f"p{k:02d}.txt").unlink()
    with pytest.raises(
        InvalidData,
        match=r"6 of 12 pictures have no file of boxes, the first is "
        r"images/p06.png; a picture with nothing on it has an empty one",
    ):
        read(source)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("data.yaml", "names: [cat, cat]\n", "data.yaml: two classes are called 'cat'"),
        ("data.yaml", "names: {1: cat, 2: dog}\n", "names are a list, or numbers from 0 on"),
        ("data.yaml", "names: [cat\n", "data.yaml is no YAML"),
    ],
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    source = yolo(tmp_path / "set")
    (source / name).write_text(text)
    with pytest.raises(InvalidData, match=said):
        read(source)


def test_usual_endings_and_marks_of_text_files_are_read(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    (source / "data.yaml").unlink()
    (source / "classes.txt").write_bytes("\ufeffcat\r\ndog\r\n\r\n".encode())
    (source / "labels" / "p03.txt").write_bytes("\ufeff0 0.5 0.5 0.2 0.2\r\n\r\n\n".encode())
    (source / "labels" / "p04.txt").write_text("\n\n")
    found = read(source)
    assert found.classes == ("cat", "dog")
    assert int((found.boxes[..., 0] >= 0).sum()) == 2 * 10 + 1


def test_a_picture_may_be_called_as_a_list_is(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    picture(source / "images" / "test.png", 77)
    (source / "labels" / "test.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    assert int((read(source).boxes[..., 0] >= 0).sum()) == 25


def test_folders_above_may_bear_the_names_of_folders_of_pictures(tmp_path: Path) -> None:
    found = read(yolo(tmp_path / "set" / "frames").parent)
    assert int((found.boxes[..., 0] >= 0).sum()) == 24


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [[cat], dog]\n", r"name \['cat'\] is no text; put it into quotes"),
        ("names: {0: cat, x: dog}\n", "names are a list, or numbers from 0 on"),
        ("names: {0: cat, 1: dog, 01: bird}\n", "names are a list, or numbers from 0 on"),
        ("names:\n  0: cat\n  ? " + "1" * 5000 + "\n  : dog\n", "or numbers from 0 on with a name"),
        ("made: [2020\nnames: [cat, dog]\n", "data.yaml is no YAML"),
    ],
)
def test_names_that_are_no_text_are_refused(tmp_path: Path, text: str, said: str) -> None:
    source = yolo(tmp_path / "set")
    (source / "data.yaml").write_text(text)
    with pytest.raises(InvalidData, match=said):
        read(source)


def test_names_are_as_they_are_written(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    (source / "data.yaml").write_text("names: [010, 12:30, no]\nmade: 2020-13-45\n")
    assert read(source).classes == ("010", "12:30")  # nothing is of the third


def test_texts_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    (source / "data.yaml").unlink()
    (source / "classes.txt").write_bytes("Tür\n".encode("latin-1"))
    with pytest.raises(InvalidData, match=r"classes.txt is not UTF-8"):
        read(source)


def test_a_class_number_too_large_in_a_line_is_refused(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    (source / "labels" / "p03.txt").write_text("1e30 0.5 0.5 0.2 0.2\n")
    with pytest.raises(InvalidData, match=r"p03.txt: line 1: class 1000000000000"):
        read(source)
