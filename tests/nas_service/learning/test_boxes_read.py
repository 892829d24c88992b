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
    assert np.allclose(found.boxes[0, 0], [1, *shares])
    assert np.allclose(found.boxes[1, 0], [0, *shares])
    # twenty boxes of twelve pictures: the last four have one
    assert (found.boxes[..., 0] >= 0).sum(axis=1).tolist() == [2] * 8 + [1] * 4
    report = found.facts()["report"]
    assert report["layout"] == "COCO"
    assert any("1 named classes have no box: bird" in one for one in report["notes"])
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
    assert found.boxes[0, 0, [1, 3]].tolist() == [0.0, 1.0]
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
    assert np.allclose(found.boxes[0, 0], [0, 0.125, 0.3, 0.375, 0.7])
    assert (found.boxes[3, :, 0] == -1).all()
    report = found.facts()["report"]
    assert report["layout"] == "YOLO"
    assert any("nothing is on 1 pictures" in one for one in report["notes"])


def test_parts_of_yolo_are_folders(tmp_path: Path) -> None:
    facts = _read(_yolo(tmp_path / "set", 5, ("train", "val", "test"))).facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [5, 5, 5]


def test_labels_may_lie_beside_their_pictures(tmp_path: Path) -> None:
    for k in range(12):
        _picture(tmp_path / "set" / f"p{k:02d}.png", k)
        (tmp_path / "set" / f"p{k:02d}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "set" / "classes.txt").write_text("cat\n")
    (tmp_path / "set" / "train.txt").write_text("p00.png\n")
    assert _read(tmp_path / "set").classes == ("cat",)


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
    groups = np.arange(15) // 3
    found = _read(_arrays(tmp_path / "set.npz", groups=groups, more=np.ones(2)))
    assert found.classes == ("cat", "dog")
    assert np.allclose(found.boxes[1, 0], [1, 8 / 64, 4 / 40, 24 / 64, 24 / 40])
    assert all(len(set(found.split[groups == one])) == 1 for one in range(5))
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
        ({"y": np.arange(15) - 1}, r"y\[0\] is -1; classes are numbered from 0"),
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
