"""How pictures with boxes are read, and what is refused, with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_service.errors import InvalidData
from nas_service.learning.detection.ingested import BoxedPictures
from nas_service.learning.registry import learning_task
from nas_service.templates import verify
from nas_service.templates.preprocess import Preprocessing

TASK = learning_task("detection")
SIZE = (64, 40)
"""Width and height of the pictures of these tests."""


def _read(source: Path, **answers: Any) -> BoxedPictures:
    found = TASK.ingest(source, answers, tell=lambda *_: None, within=[source.parent], threads=1)
    assert isinstance(found, BoxedPictures)
    return found


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3))
    Image.fromarray(noise.astype(np.uint8)).save(path)


def _coco(n: int = 12) -> dict[str, Any]:
    return {
        "images": [
            {"id": 100 + k, "file_name": f"p{k:02d}.png", "width": SIZE[0], "height": SIZE[1]}
            for k in range(n)
        ],
        "annotations": [
            {
                "id": k,
                "image_id": 100 + k % n,
                "category_id": (7, 3)[k % 2],
                "bbox": [8.0, 4.0, 16.0, 20.0],
                "iscrowd": 0,
            }
            for k in range(2 * n - 4)
        ],
        "categories": [
            {"id": 3, "name": "cat"},
            {"id": 5, "name": "bird"},
            {"id": 7, "name": "dog"},
        ],
    }


def _save_coco(folder: Path, told: dict[str, Any] | str, *, absent: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = told if isinstance(told, str) else json.dumps(told)
    (folder / "annotations.json").write_text(text)
    for k in range(12 - absent):
        _picture(folder / "images" / f"p{k:02d}.png", k)
    return folder


def test_coco_is_read(tmp_path: Path) -> None:
    found = _read(_save_coco(tmp_path / "set", _coco()))
    assert found.classes == ("cat", "dog")
    assert found.images.shape == (12, 40, 40, 3)  # stretched: the median shorter side, in eights
    shares = [8 / 64, 4 / 40, 24 / 64, 24 / 40]
    told = found.boxes[found.boxes[..., 0] >= 0]
    assert np.allclose(told[:, 1:], [shares])
    assert np.bincount(told[:, 0].astype(int)).tolist() == [10, 10]
    # twenty boxes of twelve pictures: four of these have one
    assert sorted((found.boxes[..., 0] >= 0).sum(axis=1).tolist()) == [1] * 4 + [2] * 8
    report = found.facts()["report"]
    assert report["layout"] == "COCO"
    assert any("named classes without a box: 1, bird" in one for one in report["notes"])
    assert found.facts()["n_boxes"] == 20


@pytest.mark.parametrize("layout", ["beside", "by name", "in folders"])
def test_parts_of_coco_are_those_of_its_files(tmp_path: Path, layout: str) -> None:
    """Pictures of the parts have the same names, as when each part is exported by itself."""
    parts = ("train", "val", "test")
    for at, part in enumerate(parts):
        told = _coco()
        for one in told["images"]:
            one["file_name"] = (
                one["file_name"] if layout != "in folders" else f"{part}/{one['id']}.png"
            )
        names = {
            "beside": (f"{part}/_annotations.coco.json", f"{part}/p{{:02d}}.png"),
            "by name": (f"annotations/instances_{part}2017.json", f"{part}2017/p{{:02d}}.png"),
            "in folders": (f"annotations/{part}.json", f"images/{part}/{{:d}}.png"),
        }[layout]
        place = tmp_path / "set" / names[0]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(told))
        for k in range(12):
            number = 100 + k if layout == "in folders" else k
            _picture(tmp_path / "set" / names[1].format(number), 100 * at + k)
    facts = _read(tmp_path / "set").facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [12, 12, 12]


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    told = _coco()
    change(told)
    return told


def _set(kind: str, at: int, **values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda told: told[kind][at].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            _set("annotations", 3, bbox=[50, 4, 16, 20]),
            r"p03.png: annotation 3: the box from \(50, 4\) to \(66, 24\) lies outside of its "
            r"picture of 64x40",
        ),
        (
            _set("annotations", 3, bbox=[8, 4, -2, 20]),
            "annotation 3: the box .* ends before it begins",
        ),
        (
            _set("annotations", 3, bbox=[8, 4, 16]),
            r"annotation 3 has bbox \[8, 4, 16\]; it is \[x, y",
        ),
        (_set("annotations", 3, bbox=None), "annotation 3 has bbox None"),
        (
            _set("annotations", 3, category_id=4),
            "annotation 3 is of category 4, which is not among",
        ),
        (_set("annotations", 3, image_id=5), "annotation 3 is of picture 5, which is not among"),
        (_set("annotations", 3, image_id="a"), "annotation 3 has image_id 'a'"),
        (_set("images", 2, width=40, height=64), "p02.png is 64x40 pixels, .* are for 40x64"),
        (_set("images", 2, file_name=""), "picture 102 has no file_name"),
        (_set("categories", 2, name="cat"), "two categories are called 'cat'"),
        (_set("categories", 2, id="7"), "a category has id '7'"),
        (lambda told: told.pop("categories"), "has no categories"),
        (lambda told: told.update(annotations={}), "annotations is no list of records"),
        (lambda told: told.update(annotations=[]), "there is no box in 12 pictures"),
    ],
)
def test_what_is_wrong_with_coco_is_said_with_its_place(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    with pytest.raises(InvalidData, match=said):
        _read(_save_coco(tmp_path / "set", _changed(change)))


def test_json_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"annotations.json is no JSON, or is cut off"):
        _read(_save_coco(tmp_path / "set", json.dumps(_coco())[:-40]))


def test_pictures_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"2 of 12 pictures are not there, the first is p10.png"):
        _read(_save_coco(tmp_path / "set", _coco(), absent=2))


def test_boxes_are_cut_to_the_picture_where_they_were_rounded(tmp_path: Path) -> None:
    told = _changed(_set("annotations", 0, bbox=[-0.4, 4, 64.8, 20]))
    told["annotations"][1]["bbox"] = [8, 4, 0, 20]
    told["annotations"][2]["iscrowd"] = 1
    found = _read(_save_coco(tmp_path / "set", told))
    wide = found.boxes[..., 3] - found.boxes[..., 1] == 1.0
    assert int(wide.sum()) == 1
    aside = {one["reason"]: one["n"] for one in found.facts()["report"]["set_aside"]}
    assert aside == {"box without an area": 1, "crowd, which no box is for": 1}
    assert found.facts()["n_boxes"] == 18


def _yolo(folder: Path, n: int = 12, parts: tuple[str, ...] = ("",)) -> Path:
    for part in parts:
        for k in range(n):
            _picture(folder / "images" / part / f"p{k:02d}.png", k + 100 * len(part))
            label = folder / "labels" / part / f"p{k:02d}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(f"{k % 2} 0.25 0.5 0.25 0.4\n1 0.75 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text("train: images/train\nnames: {0: cat, 1: dog, 2: bird}\n")
    return folder


def test_yolo_is_read(tmp_path: Path) -> None:
    source = _yolo(tmp_path / "set")
    (source / "labels" / "p03.txt").write_text("")  # nothing is on it
    found = _read(source)
    assert found.classes == ("cat", "dog")
    first = found.boxes[found.boxes[..., 0] == 0]
    assert np.allclose(first, [[0, 0.125, 0.3, 0.375, 0.7]])
    assert int((found.boxes[..., 0] == -1).all(axis=1).sum()) == 1
    report = found.facts()["report"]
    assert report["layout"] == "YOLO"
    assert any("pictures that nothing is on: 1" in one for one in report["notes"])


def test_turned_pictures_are_told_with_what_their_boxes_are_taken_for(tmp_path: Path) -> None:
    source = _yolo(tmp_path / "set")
    picture = next(iter(sorted((source / "images").glob("*.png"))))
    tags = Image.Exif()
    tags[0x0112] = 3
    with Image.open(picture) as opened:
        opened.load()
        opened.save(picture, exif=tags)
    (note,) = [one for one in _read(source).facts()["report"]["notes"] if "EXIF" in one]
    assert note.endswith(": 1; their boxes are taken to be drawn on the upright pictures")


def test_parts_of_yolo_are_folders(tmp_path: Path) -> None:
    facts = _read(_yolo(tmp_path / "set", 5, ("train", "val", "test"))).facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [5, 5, 5]


def test_labels_may_lie_beside_their_pictures(tmp_path: Path) -> None:
    for k in range(12):
        _picture(tmp_path / "set" / f"p{k:02d}.png", k)
        (tmp_path / "set" / f"p{k:02d}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "set" / "classes.txt").write_text("cat\n")
    (tmp_path / "set" / "train.txt").write_text("p00.png\n")
    found = _read(tmp_path / "set")
    assert found.classes == ("cat",)
    assert any("lists of pictures are not read" in one for one in found.facts()["report"]["notes"])


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
        ("0 0.5 0.5 0.2 0.2\n\n0 0.5 0.5 0.2 0.2\n", "line 2 has 0 numbers"),
    ],
)
def test_what_is_wrong_with_yolo_is_said_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    source = _yolo(tmp_path / "set")
    (source / "labels" / "p03.txt").write_text(text)
    with pytest.raises(InvalidData, match=said):
        _read(source)


def test_boxes_for_half_of_the_pictures_are_refused(tmp_path: Path) -> None:
    source = _yolo(tmp_path / "set")
    for k in range(6, 12):
        (source / "labels" / f"p{k:02d}.txt").unlink()
    with pytest.raises(
        InvalidData,
        match=r"6 of 12 pictures have no file of boxes, the first is "
        r"images/p06.png; a picture with nothing on it has an empty one",
    ):
        _read(source)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("data.yaml", "names: [cat, cat]\n", "data.yaml: two classes are called 'cat'"),
        ("data.yaml", "names: {1: cat, 2: dog}\n", "names are a list, or numbers from 0 on"),
        ("data.yaml", "names: [cat\n", "data.yaml is no YAML"),
    ],
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    source = _yolo(tmp_path / "set")
    (source / name).write_text(text)
    with pytest.raises(InvalidData, match=said):
        _read(source)


def _arrays(path: Path, **changed: Any) -> Path:
    generator = np.random.default_rng(0)
    given = {
        "x": generator.integers(0, 256, (15, 40, 64, 3)).astype(np.uint8),
        "boxes": np.tile([[8, 4, 24, 24]], (15, 1)),
        "picture": np.arange(15),
        "y": np.array(["cat", "dog", "cat"] * 5),
        **changed,
    }
    np.savez(path, **{name: one for name, one in given.items() if one is not None})
    return path


def test_arrays_are_read(tmp_path: Path) -> None:
    level = np.arange(15)
    x = np.broadcast_to(level[:, None, None, None], (15, 40, 64, 3)).astype(np.uint8)
    found = _read(_arrays(tmp_path / "set.npz", x=x, groups=level // 3, more=np.ones(2)))
    assert found.classes == ("cat", "dog")
    levels = found.images[:, 0, 0, 0].astype(int)
    assert sorted(levels) == level.tolist()
    (one,) = found.boxes[levels == 1]
    assert np.allclose(one, [[1, 8 / 64, 4 / 40, 24 / 64, 24 / 40]])
    assert all(len(set(found.split[levels // 3 == group])) == 1 for group in range(5))
    assert "arrays that are not read: more" in found.facts()["report"]["notes"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"boxes": None}, "has no array boxes; it takes x"),
        ({"boxes": np.ones((15, 5))}, r"boxes is float64 \(15, 5\); a row is left, top"),
        ({"boxes": np.tile([[8, 4, 99, 24]], (15, 1))}, r"boxes\[0\]: the box .* lies outside"),
        (
            {"boxes": np.tile([[8, np.nan, 9, 24]], (15, 1))},
            r"boxes\[0\]: a box has sides that are",
        ),
        ({"picture": np.arange(14)}, r"picture is \(14,\), boxes are 15"),
        ({"picture": np.arange(15.0)}, "picture has float64; it has rows of x"),
        ({"picture": np.arange(15) + 1}, r"picture\[14\] is 15, x has 15 pictures"),
        ({"y": np.arange(15) - 1}, r"y\[0\]: class -1; classes are numbered from 0"),
        ({"y": np.ones(15)}, "y has float64; classes are whole numbers or names"),
        (
            {"y": np.arange(15), "classes": np.array(["a", "b"])},
            r"y\[14\] is 14, 2 classes are named",
        ),
        ({"classes": np.array(["cat", "bird"])}, "y has 'dog', which is not in classes"),
        ({"x": np.ones((15, 40, 64, 3))}, "x is float64"),
        ({"split": np.array(["train"] * 15)}, None),
        ({"split": np.array(["hard"] * 15)}, "split has 'hard' in row 0"),
    ],
)
def test_what_is_wrong_with_arrays_is_said(
    tmp_path: Path, changed: dict[str, Any], said: str | None
) -> None:
    source = _arrays(tmp_path / "set.npz", **changed)
    if said is None:  # parts that are missing are drawn
        facts = _read(source).facts()
        assert min(facts[f"n_{one}"] for one in ("train", "validation", "test")) >= 2
        return
    with pytest.raises(InvalidData, match=said):
        _read(source)


def test_a_folder_without_boxes_says_what_is_looked_for(tmp_path: Path) -> None:
    _picture(tmp_path / "set" / "a.png", 0)
    with pytest.raises(InvalidData, match=r"neither COCO's annotations .* nor YOLO's"):
        _read(tmp_path / "set")
    (tmp_path / "one.txt").write_text("x")
    with pytest.raises(InvalidData, match="pictures with boxes are a folder, an archive of one"):
        _read(tmp_path / "one.txt")


def test_pictures_that_would_fill_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_service.learning.detection.ingested._MOST_BYTES", 10_000)
    with pytest.raises(InvalidData, match="give a smaller image size"):
        _read(_arrays(tmp_path / "set.npz"))


def _parts(folder: Path, names: dict[str, str], *, without: str = "") -> Path:
    """A COCO file a part, each with its own folder of pictures of the same names."""
    for at, (name, part) in enumerate(names.items()):
        place = folder / "annotations" / f"{name}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(_coco()))
        for k in range(12):
            if f"{part}/p{k:02d}" != without:
                _picture(folder / part / f"p{k:02d}.png", 100 * at + k)
    return folder


@pytest.mark.parametrize("pattern", ["cars_{}", "person_keypoints_{}2017", "{}", "my-{}-set"])
def test_what_all_names_share_says_nothing_of_a_part(tmp_path: Path, pattern: str) -> None:
    parts = {pattern.format(part): part for part in ("train", "val", "test")}
    facts = _read(_parts(tmp_path / "set", parts)).facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [12, 12, 12]
    assert not any("sounds like a part" in one for one in facts["report"]["notes"])


def test_a_picture_that_is_missing_is_not_one_of_another_part(tmp_path: Path) -> None:
    parts = {part: part for part in ("train", "val", "test")}
    found = _read(_parts(tmp_path / "set", parts, without="val/p03"))
    facts = found.facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [12, 11, 12]
    aside = {one["reason"]: one["names"] for one in facts["report"]["set_aside"]}
    assert aside["picture that is named and not there"] == ["p03.png"]


def test_a_picture_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    told = _coco()
    told["images"].append(dict(told["images"][0]))
    with pytest.raises(InvalidData, match=r"annotations.json: two pictures have the id 100"):
        _read(_save_coco(tmp_path / "set", told))
    told["images"][-1]["id"] = 999
    with pytest.raises(InvalidData, match=r"picture 999 is images/p00.png, as is .*picture 100"):
        _read(_save_coco(tmp_path / "set", told))


def test_a_file_that_speaks_of_something_else_is_set_aside(tmp_path: Path) -> None:
    source = _save_coco(tmp_path / "set", _coco())
    (source / "notes.json").write_text("{not json")
    (source / "info.json").write_text("[1, 2]")
    told = _coco()
    for one in told["images"]:
        one["width"] = one["height"] = None
    (source / "annotations.json").write_text(json.dumps(told))
    aside = _read(source).facts()["report"]["set_aside"]
    assert [(one["reason"], one["names"]) for one in aside] == [("no JSON", ["notes.json"])]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("annotations", 3, category_id=[7]), r"annotation 3 is of category \[7\], which is"),
        (_set("annotations", 3, bbox=[10**400, 0, 1, 1]), "annotation 3: a box has a side that is"),
    ],
)
def test_numbers_that_are_none_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    with pytest.raises(InvalidData, match=said):
        _read(_save_coco(tmp_path / "set", _changed(change)))


def test_a_picture_of_more_than_8_bits_is_refused(tmp_path: Path) -> None:
    source = _save_coco(tmp_path / "set", _coco())
    deep = np.full((SIZE[1], SIZE[0]), 3000, np.uint16)
    Image.fromarray(deep).save(source / "images" / "p05.png")
    with pytest.raises(InvalidData, match=r"p05.png has 16 bits a channel; pictures with boxes"):
        _read(source)


def test_usual_endings_and_marks_of_text_files_are_read(tmp_path: Path) -> None:
    source = _yolo(tmp_path / "set")
    (source / "data.yaml").unlink()
    (source / "classes.txt").write_bytes("\ufeffcat\r\ndog\r\n\r\n".encode())
    (source / "labels" / "p03.txt").write_bytes("\ufeff0 0.5 0.5 0.2 0.2\r\n\r\n\n".encode())
    (source / "labels" / "p04.txt").write_text("\n\n")
    found = _read(source)
    assert found.classes == ("cat", "dog")
    assert int((found.boxes[..., 0] >= 0).sum()) == 2 * 10 + 1


def test_a_picture_may_be_called_as_a_list_is(tmp_path: Path) -> None:
    source = _yolo(tmp_path / "set")
    _picture(source / "images" / "test.png", 77)
    (source / "labels" / "test.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    assert int((_read(source).boxes[..., 0] >= 0).sum()) == 25


def test_folders_above_may_bear_the_names_of_folders_of_pictures(tmp_path: Path) -> None:
    found = _read(_yolo(tmp_path / "set" / "frames").parent)
    assert int((found.boxes[..., 0] >= 0).sum()) == 24


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [yes, no]\n", "name True is no text; put it into quotes"),
        ("names: {0: cat, x: dog}\n", "names are a list, or numbers from 0 on"),
        ("made: 2020-13-45\nnames: [cat, dog]\n", "data.yaml is no YAML"),
    ],
)
def test_names_that_are_no_text_are_refused(tmp_path: Path, text: str, said: str) -> None:
    source = _yolo(tmp_path / "set")
    (source / "data.yaml").write_text(text)
    with pytest.raises(InvalidData, match=said):
        _read(source)


def test_texts_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    source = _yolo(tmp_path / "set")
    (source / "data.yaml").unlink()
    (source / "classes.txt").write_bytes("Tür\n".encode("latin-1"))
    with pytest.raises(InvalidData, match=r"classes.txt is not UTF-8"):
        _read(source)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y": np.full(15, 2**63, np.uint64)}, r"y\[0\]: class 9223372036854775808; classes are"),
        ({"y": np.full(15, 30_000_000)}, r"y\[0\]: class 30000000; classes are numbered from 0"),
        ({"y": np.array([b"\xff"] * 15)}, r"y\[0\] is no UTF-8"),
        (
            {
                "boxes": np.tile([[8, 4, 24, 24]], (2000, 1)),
                "picture": np.zeros(2000, int),
                "y": np.zeros(2000, int),
            },
            "row 0 has 2000 boxes, at most 1000 are read of one",
        ),
    ],
)
def test_numbers_that_would_fill_the_memory_are_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidData, match=said):
        _read(_arrays(tmp_path / "set.npz", **changed))


def test_a_class_number_too_large_in_a_line_is_refused(tmp_path: Path) -> None:
    source = _yolo(tmp_path / "set")
    (source / "labels" / "p03.txt").write_text("1e30 0.5 0.5 0.2 0.2\n")
    with pytest.raises(InvalidData, match=r"p03.txt: line 1: class 1000000000000"):
        _read(source)


def test_what_a_network_says_of_a_part_has_to_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_service.learning.detection.ingested._MOST_OUTPUTS", 1000)
    with pytest.raises(InvalidData, match="pictures for validation are too many"):
        _read(_arrays(tmp_path / "set.npz"))


def test_the_first_pictures_are_as_all_of_them_are(tmp_path: Path) -> None:
    """Sources list one class after the other; who takes the first few takes some of each."""
    y = np.repeat([0, 1, 2, 3], 25)
    noise = np.random.default_rng(1).integers(0, 256, (100, 40, 64, 3)).astype(np.uint8)
    found = _read(
        _arrays(
            tmp_path / "set.npz",
            x=noise,
            boxes=np.tile([[8, 4, 24, 24]], (100, 1)),
            picture=np.arange(100),
            y=y,
        )
    )
    first = found.boxes[found.split == 0][:20, 0, 0]
    assert np.bincount(first.astype(int), minlength=4).min() >= 2


def test_a_bundle_stretches_large_pictures_as_the_import_did(tmp_path: Path) -> None:
    """JPEGs of more than three times the size are read at a part of it by both."""
    source = tmp_path / "set"
    rows, columns = np.mgrid[:500, :800]
    for k in range(12):
        waves = 127 + 120 * np.sin(0.02 * (k + 1) * columns / 8) * np.cos(0.013 * rows)
        path = source / f"p{k:02d}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.repeat(waves[..., None], 3, axis=2).astype(np.uint8)).save(path)
        (source / f"p{k:02d}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    stored = _read(source)
    side = stored.images.shape[1]
    told = {"size": side, "stored_size": side, "channels": 3, "mean": [0.0] * 3, "std": [1.0] * 3}
    prepare = Preprocessing({**told, "cut": "whole picture, stretched"})
    ours = {image.tobytes() for image in stored.images}
    for k in range(12):
        made = np.rint(255 * prepare.file(source / f"p{k:02d}.jpg")[0].transpose(1, 2, 0))
        assert made.astype(np.uint8).tobytes() in ours


def test_a_bundle_tells_classes_by_the_numbers_that_the_source_gave_them(tmp_path: Path) -> None:
    listed = np.array(["background", "disc", "square"])
    found = _read(_arrays(tmp_path / "set.npz", y=np.array([1, 2, 1] * 5), classes=listed))
    assert (found.classes, found.class_numbers) == (("disc", "square"), (1, 2))
    names, numbers = list(found.classes), list(found.class_numbers)
    assert verify.number_of(np.int64(2), names, numbers, listed.tolist()) == 1
    assert verify.number_of(np.int64(2), names, numbers, None) == 1
    assert verify.number_of(np.str_("disc"), names, numbers, None) == 0
    for unknown in (np.int64(0), np.str_("ring"), np.int64(9)):
        with pytest.raises(SystemExit, match="is none of disc, square"):
            verify.number_of(unknown, names, numbers, listed.tolist())
