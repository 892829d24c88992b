"""How COCO's annotations are read, and what is refused of them, with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_service.errors import InvalidData
from tests.boxed_pictures import SIZE, coco, picture, read, save_coco


def test_coco_is_read(tmp_path: Path) -> None:
    found = read(save_coco(tmp_path / "set", coco()))
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
        told = coco()
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
            picture(tmp_path / "set" / names[1].format(number), 100 * at + k)
    facts = read(tmp_path / "set").facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [12, 12, 12]


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    told = coco()
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
        read(save_coco(tmp_path / "set", _changed(change)))


@pytest.mark.parametrize("above", ["/home/me/set/images/", "../images/", "C:\\\\set\\\\images\\\\"])
def test_pictures_may_be_named_by_their_paths_elsewhere(tmp_path: Path, above: str) -> None:
    told = coco()
    for one in told["images"]:
        one["file_name"] = above.replace("\\\\", "\\") + one["file_name"]
    assert len(read(save_coco(tmp_path / "set", told)).images) == 12


def test_json_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"annotations.json is no JSON, or is cut off"):
        read(save_coco(tmp_path / "set", json.dumps(coco())[:-40]))


def test_pictures_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"2 of 12 pictures are not there, the first is p10.png"):
        read(save_coco(tmp_path / "set", coco(), absent=2))


def test_boxes_are_cut_to_the_picture_where_they_were_rounded(tmp_path: Path) -> None:
    told = _changed(_set("annotations", 0, bbox=[-0.4, 4, 64.8, 20]))
    told["annotations"][1]["bbox"] = [8, 4, 0, 20]
    told["annotations"][2]["iscrowd"] = 1
    found = read(save_coco(tmp_path / "set", told))
    wide = found.boxes[..., 3] - found.boxes[..., 1] == 1.0
    assert int(wide.sum()) == 1
    aside = {one["reason"]: one["n"] for one in found.facts()["report"]["set_aside"]}
    assert aside == {"box without an area": 1, "crowd, which no box is for": 1}
    assert found.facts()["n_boxes"] == 18


def _parts(folder: Path, names: dict[str, str], *, without: str = "") -> Path:
    """A COCO file a part, each with its own folder of pictures of the same names."""
    for at, (name, part) in enumerate(names.items()):
        place = folder / "annotations" / f"{name}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(coco()))
        for k in range(12):
            if f"{part}/p{k:02d}" != without:
                picture(folder / part / f"p{k:02d}.png", 100 * at + k)
    return folder


@pytest.mark.parametrize("pattern", ["cars_{}", "person_keypoints_{}2017", "{}", "my-{}-set"])
def test_what_all_names_share_says_nothing_of_a_part(tmp_path: Path, pattern: str) -> None:
    parts = {pattern.format(part): part for part in ("train", "val", "test")}
    facts = read(_parts(tmp_path / "set", parts)).facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [12, 12, 12]
    assert not any("sounds like a part" in one for one in facts["report"]["notes"])


def test_a_picture_that_is_missing_is_not_one_of_another_part(tmp_path: Path) -> None:
    parts = {part: part for part in ("train", "val", "test")}
    found = read(_parts(tmp_path / "set", parts, without="val/p03"))
    facts = found.facts()
    assert [facts[f"n_{one}"] for one in ("train", "validation", "test")] == [12, 11, 12]
    aside = {one["reason"]: one["names"] for one in facts["report"]["set_aside"]}
    assert aside["picture that is named and not there"] == ["p03.png"]


def test_a_picture_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    told = coco()
    told["images"].append(dict(told["images"][0]))
    with pytest.raises(InvalidData, match=r"annotations.json: two pictures have the id 100"):
        read(save_coco(tmp_path / "set", told))
    told["images"][-1]["id"] = 999
    with pytest.raises(InvalidData, match=r"picture 999 is images/p00.png, as is .*picture 100"):
        read(save_coco(tmp_path / "set", told))


def test_a_file_that_speaks_of_something_else_is_set_aside(tmp_path: Path) -> None:
    source = save_coco(tmp_path / "set", coco())
    (source / "notes.json").write_text("{not json")
    (source / "info.json").write_text("[1, 2]")
    told = coco()
    for one in told["images"]:
        one["width"] = one["height"] = None
    (source / "annotations.json").write_text(json.dumps(told))
    aside = read(source).facts()["report"]["set_aside"]
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
        read(save_coco(tmp_path / "set", _changed(change)))


def test_a_picture_of_more_than_8_bits_is_refused(tmp_path: Path) -> None:
    source = save_coco(tmp_path / "set", coco())
    deep = np.full((SIZE[1], SIZE[0]), 3000, np.uint16)
    Image.fromarray(deep).save(source / "images" / "p05.png")
    with pytest.raises(InvalidData, match=r"p05.png has 16 bits a channel; pictures with boxes"):
        read(source)
