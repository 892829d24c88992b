"""How arrays of boxes are read, what any layout refuses, and what a bundle does with boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_service.errors import InvalidData
from nas_service.templates import verify
from nas_service.templates.preprocess import Preprocessing
from tests.boxed_pictures import arrays, picture, read


def test_labels_may_lie_beside_their_pictures(tmp_path: Path) -> None:
    for k in range(12):
        picture(tmp_path / "set" / f"p{k:02d}.png", k)
        (tmp_path / "set" / f"p{k:02d}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "set" / "classes.txt").write_text("cat\n")
    (tmp_path / "set" / "train.txt").write_text("p00.png\n")
    found = read(tmp_path / "set")
    assert found.classes == ("cat",)
    assert any("lists of pictures are not read" in one for one in found.facts()["report"]["notes"])


def test_names_in_bytes_and_whole_numbers_with_a_point_are_read(tmp_path: Path) -> None:
    labels = np.array([b"cat", b"dog ", b"cat"] * 5)
    changed = {"y": labels, "classes": np.array([b"dog", b"cat "]), "picture": np.arange(15.0)}
    found = read(arrays(tmp_path / "a.npz", **changed))
    assert found.classes == ("dog", "cat")
    counts = [int((found.boxes[..., 0] == k).sum()) for k in range(2)]
    assert counts == [5, 10]
    assert read(arrays(tmp_path / "b.npz", y=np.arange(15.0) % 2)).classes == ("0", "1")


def test_arrays_are_read(tmp_path: Path) -> None:
    level = np.arange(15)
    x = np.broadcast_to(level[:, None, None, None], (15, 40, 64, 3)).astype(np.uint8)
    found = read(arrays(tmp_path / "set.npz", x=x, groups=level // 3, more=np.ones(2)))
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
        ({"picture": np.arange(15) + 0.5}, "picture has float64; it has rows of x"),
        ({"picture": np.arange(15) + 1}, r"picture\[14\] is 15, x has 15 pictures"),
        ({"y": np.arange(15) - 1}, r"y\[0\]: class -1; classes are numbered from 0"),
        ({"y": np.full(15, 0.5)}, "y has float64; classes are whole numbers or names"),
        (
            {"y": np.arange(15), "classes": np.array(["a", "b"])},
            r"y\[14\] is 14, 2 classes are named",
        ),
        ({"classes": np.array(["cat", "bird"])}, "y has 'dog', which is not in classes"),
        ({"x": np.ones((15, 40, 64, 3))}, "x is float64"),
        ({"split": np.array(["train"] * 15)}, None),
        ({"split": np.array(["hard"] * 15)}, "split has 'hard' in picture 0; parts are train"),
    ],
)
def test_what_is_wrong_with_arrays_is_said(
    tmp_path: Path, changed: dict[str, Any], said: str | None
) -> None:
    source = arrays(tmp_path / "set.npz", **changed)
    if said is None:  # parts that are missing are drawn
        facts = read(source).facts()
        assert min(facts[f"n_{one}"] for one in ("train", "validation", "test")) >= 2
        return
    with pytest.raises(InvalidData, match=said):
        read(source)


def test_a_folder_without_boxes_says_what_is_looked_for(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "a.png", 0)
    with pytest.raises(InvalidData, match=r"neither COCO's annotations .* nor YOLO's"):
        read(tmp_path / "set")
    (tmp_path / "one.txt").write_text("x")
    with pytest.raises(InvalidData, match="pictures with boxes are a folder, an archive of one"):
        read(tmp_path / "one.txt")


def test_pictures_that_would_fill_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_service.learning.detection.ingested._MOST_BYTES", 10_000)
    with pytest.raises(InvalidData, match="give a smaller image size"):
        read(arrays(tmp_path / "set.npz"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y": np.full(15, 2**63, np.uint64)}, r"y\[0\]: class 9223372036854775808; classes are"),
        ({"y": np.full(15, 30_000_000)}, r"y\[0\]: class 30000000; classes are numbered from 0"),
        ({"y": np.array([b"\xff"] * 15)}, r"y\[0\]: .* is not UTF-8"),
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
        read(arrays(tmp_path / "set.npz", **changed))


def test_what_a_network_says_of_a_part_has_to_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_service.learning.detection.ingested._MOST_OUTPUTS", 1000)
    with pytest.raises(InvalidData, match="pictures for validation are too many"):
        read(arrays(tmp_path / "set.npz"))


def test_the_first_pictures_are_as_all_of_them_are(tmp_path: Path) -> None:
    """Sources list one class after the other; who takes the first few takes some of each."""
    y = np.repeat([0, 1, 2, 3], 25)
    noise = np.random.default_rng(1).integers(0, 256, (100, 40, 64, 3)).astype(np.uint8)
    found = read(
        arrays(
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
    stored = read(source)
    side = stored.images.shape[1]
    told = {"size": side, "stored_size": side, "channels": 3, "mean": [0.0] * 3, "std": [1.0] * 3}
    prepare = Preprocessing({**told, "cut": "whole picture, stretched"})
    ours = {image.tobytes() for image in stored.images}
    for k in range(12):
        made = np.rint(255 * prepare.file(source / f"p{k:02d}.jpg")[0].transpose(1, 2, 0))
        assert made.astype(np.uint8).tobytes() in ours


def test_a_bundle_tells_classes_by_the_numbers_that_the_source_gave_them(tmp_path: Path) -> None:
    listed = np.array(["background", "disc", "square"])
    found = read(arrays(tmp_path / "set.npz", y=np.array([1, 2, 1] * 5), classes=listed))
    assert (found.classes, found.class_numbers) == (("disc", "square"), (1, 2))
    names, numbers = list(found.classes), list(found.class_numbers)
    assert verify.number_of(np.int64(2), names, numbers, listed.tolist()) == 1
    assert verify.number_of(np.int64(2), names, numbers, None) == 1
    assert verify.number_of(np.str_("disc"), names, numbers, None) == 0
    for unknown in (np.int64(0), np.str_("ring"), np.int64(9)):
        with pytest.raises(SystemExit, match="is none of disc, square"):
            verify.number_of(unknown, names, numbers, listed.tolist())
