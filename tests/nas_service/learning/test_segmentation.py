"""Segmentation: how masks are read, what is refused and where, and how they are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas_service.datasets.inspection import inspect
from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.registry import learning_task
from nas_service.learning.segmentation.data import MaskedImages
from nas_service.learning.segmentation.ingested import MaskedPictures, nearest
from nas_service.learning.segmentation.metrics import Masks, iou_of
from nas_service.learning.segmentation.shape import MaskedImageShape
from nas_service.space.cell import NasBench201Space
from nas_service.templates import verify
from nas_service.training.loop import TrainRecipe, batches
from tests.contracts.test_segmentation import save_shapes

TASK = learning_task("segmentation")


def _read(source: Path, **answers: Any) -> MaskedPictures:
    found = TASK.ingest(source, answers, tell=lambda *_: None, within=[source.parent], threads=1)
    assert isinstance(found, MaskedPictures)
    return found


def _arrays(path: Path, **arrays: Any) -> Path:
    generator = np.random.default_rng(0)
    given = {
        "x": generator.integers(0, 256, (30, 20, 24, 3)).astype(np.uint8),
        "y": generator.integers(0, 3, (30, 20, 24)),
        **arrays,
    }
    np.savez(path, **{name: one for name, one in given.items() if one is not None})
    return path


def _smoothed() -> np.ndarray:
    """Masks of black and white; one has a grey pixel, so that white would be no class."""
    masks = np.zeros((30, 20, 24), int)
    masks[:, 5:15] = 255
    masks[3, 4, 7] = 128
    return masks


def _unasked() -> np.ndarray:
    """Masks in which nothing is asked about but in two of them."""
    masks = np.full((30, 20, 24), 255)
    masks[0], masks[1, :10], masks[1, 10:] = 0, 0, 1
    return masks


def _write(folder: Path, name: str, mask: np.ndarray, *, at: str = "masks") -> None:
    """A grey picture and a mask of the same name, under one part's folder or none."""
    picture = folder / "images" / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(name.encode())).integers(0, 256, mask.shape)
    Image.fromarray(noise.astype(np.uint8)).save(picture)
    place = folder / at / f"{name}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8)).save(place)


def _mask(*values: int) -> np.ndarray:
    mask = np.zeros((24, 32), np.uint8)
    for number, value in enumerate(values):
        mask[4 * number : 4 * number + 4] = value
    return mask


def _folder(folder: Path, n: int = 20, values: tuple[int, ...] = (1, 2)) -> Path:
    for number in range(n):
        _write(folder, f"p{number:02d}", _mask(*values))
    return folder


def test_iou_is_counted_by_hand() -> None:
    true = np.array([[[0, 0, 1], [1, 1, 255]]])
    told = np.array([[[0, 1, 1], [1, 0, 2]]])
    judged = Masks.of(told, true, 3)
    # class 0: 1 shared of {0, 0} and {0, 0 wrong}: 1 / 3; class 1: 2 of 4; class 2 is nowhere
    assert iou_of(judged.total)[:2] == pytest.approx([1 / 3, 2 / 4])
    assert np.isnan(iou_of(judged.total)[2])
    assert judged.miou == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert judged.pixel_accuracy == pytest.approx(3 / 5)
    assert verify.mean_iou(list(told), list(true), 3) == pytest.approx(judged.miou)


def test_miou_is_that_of_all_pixels_together() -> None:
    generator = np.random.default_rng(1)
    true, told = generator.integers(0, 4, (2, 40, 9, 9))
    expected = [
        ((true == k) & (told == k)).sum() / ((true == k) | (told == k)).sum() for k in range(4)
    ]
    judged = Masks.of(told, true, 4)
    assert judged.miou == pytest.approx(np.mean(expected))
    # the error is that of means over pictures where these are much alike: .0067 by 2000 resamples
    rows = generator.integers(0, 40, (2000, 40))
    spread = np.std([Masks(judged.confusion[some]).miou for some in rows])
    assert judged.miou_error == pytest.approx(spread, rel=0.35)
    assert Masks.of(true, true, 4).miou_error > 0


def test_pictures_in_folders_are_paired_by_their_names(tmp_path: Path) -> None:
    source = _folder(tmp_path / "set")
    (source / "classes.txt").write_text("ground\nroad\ncar\n")
    found = _read(source)
    assert found.classes == ("ground", "road", "car")
    assert (found.images.shape, found.masks.shape) == ((20, 24, 24, 1), (20, 24, 24))
    assert found.masks[0, 5].tolist() == [2] * 24  # rows 4 to 7 are the second class
    report = found.facts()["report"]
    assert report["layout"] == "folders"
    assert sum(report["counts"][part]["car"] for part in ("train", "validation", "test")) == 20


@pytest.mark.parametrize("nested", ["train/images", "images/train"])
def test_parts_are_those_of_folders(tmp_path: Path, nested: str) -> None:
    for number in range(12):
        part = ("train", "val", "test")[number % 3]
        own = nested.replace("train", part)
        for kind, pixels in (("images", np.full((16, 16), number)), ("masks", np.eye(16))):
            place = tmp_path / "s" / own.replace("images", kind) / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(place)
    found = _read(tmp_path / "s")
    assert np.bincount(found.split).tolist() == [4, 4, 4]
    assert sorted(found.images[found.split == 1, 0, 0, 0].tolist()) == [1, 4, 7, 10]
    drawn = _read(tmp_path / "s", split="draw")
    part_of = dict(zip(found.images[:, 0, 0, 0].tolist(), found.split.tolist(), strict=True))
    again = dict(zip(drawn.images[:, 0, 0, 0].tolist(), drawn.split.tolist(), strict=True))
    assert part_of != again
    assert drawn.digest != found.digest  # what is trained on the one may be tested on by the other


def test_a_mask_of_0_and_255_has_two_classes_and_else_255_is_not_asked(tmp_path: Path) -> None:
    source = _folder(tmp_path / "two", values=(255,))
    two = _read(source)
    assert (two.classes, two.mask_values) == (("0", "255"), (0, 255))
    assert set(np.unique(two.masks)) == {0, 1}
    (source / "classes.txt").write_text("ground\nroad\n")
    named = _read(source)
    assert (named.classes, named.mask_values) == (("ground", "road"), (0, 255))
    assert named.facts()["report"]["counts"]["test"]["road"] > 0
    three = _read(_folder(tmp_path / "three", values=(7, 255)))
    assert (three.classes, three.mask_values) == (("0", "7"), (0, 7))
    assert set(np.unique(three.masks)) == {0, 1, 255}
    assert any("255" in one and "not asked" in one for one in three.facts()["report"]["reading"])


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ((128, 255), ("0", "128", "255")),
        ((127, 255), ("0", "127", "255")),
        ((85, 170, 255), ("0", "85", "170", "255")),
        ((1, 2, 255), ("0", "1", "2")),  # numbers, and what is not asked about
        ((15, 255), ("0", "15")),
    ],
)
def test_evenly_spread_levels_of_grey_are_a_class_each(
    tmp_path: Path, values: tuple[int, ...], classes: tuple[str, ...]
) -> None:
    source = _folder(tmp_path / "grey", values=values)
    assert _read(source).classes == classes
    (source / "classes.txt").write_text("ground\n")
    with pytest.raises(InvalidData, match=f"has class {values[0]}, 1 are named"):
        _read(source)


def test_equal_pictures_and_groups_are_on_one_side(tmp_path: Path) -> None:
    level = np.arange(30)
    level[20:] = level[:10]  # these pictures are those of the first ten
    x = np.broadcast_to(level[:, None, None, None], (30, 20, 24, 3)).astype(np.uint8)
    found = _read(_arrays(tmp_path / "a.npz", x=x))
    sides = set(zip(found.images[:, 0, 0, 0].tolist(), found.split.tolist(), strict=True))
    assert len(sides) == 20
    # groups of two pictures; the twenties pull those of the first ten into theirs
    grouped = _read(_arrays(tmp_path / "b.npz", x=x, groups=np.arange(30) // 2))
    levels = grouped.images[:, 0, 0, 0].astype(int)
    sides = set(zip((levels // 2).tolist(), grouped.split.tolist(), strict=True))
    assert len(sides) == 10


def test_pictures_in_two_given_parts_stay_in_the_one_that_judges(tmp_path: Path) -> None:
    level = np.arange(30)
    level[25:] = level[:5]
    x = np.broadcast_to(level[:, None, None, None], (30, 20, 24, 3)).astype(np.uint8)
    split = np.array(["train"] * 15 + ["validation"] * 7 + ["test"] * 8)
    found = _read(_arrays(tmp_path / "a.npz", x=x, split=split))
    assert len(found.images) == 25
    where = dict(zip(found.images[:, 0, 0, 0].tolist(), found.split.tolist(), strict=True))
    assert [where[one] for one in range(5)] == [2] * 5
    report = found.facts()["report"]
    assert report["set_aside"][0]["reason"] == "copy of a picture in another part"
    assert report["set_aside"][0]["names"] == [f"row {one}" for one in range(5)]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": None}, "no array x"),
        ({"x": np.ones((30, 20, 24, 3))}, "x is float64"),
        ({"y": np.ones((30, 20, 23), int)}, r"y is \(30, 20, 23\), masks .* \(30, 20, 24\)"),
        ({"y": np.ones((30, 20, 24))}, "y has float64"),
        ({"y": np.full((30, 20, 24), -1)}, r"y\[0\] has -1"),
        ({"y": np.zeros((30, 20, 24), int)}, "every pixel is of class 0"),
        ({"y": np.arange(30 * 480).reshape(30, 20, 24)}, "are these masks, or pictures"),
        ({"classes": np.array(["a", "b"])}, "row 0: its mask has class 2, 2 are named"),
        ({"y": _smoothed()}, "row 3: its mask has 128 beside 0 and 255, as smoothed edges do"),
        ({"split": np.array(["train"] * 29 + ["trian"])}, "'trian' in picture 29"),
        ({"groups": np.arange(3)}, "groups is"),
        ({"groups": np.zeros(30)}, "1 groups: at least 5"),
        ({"classes": np.array(["a", "b", "a"])}, "classes: two classes are called 'a'"),
        ({"y": np.full((30, 20, 24), 2**40)}, "y has 1099511627776; a mask's numbers are small"),
        ({"y": _unasked()}, "of the pictures for validation nothing is asked about"),
    ],
)
def test_arrays_that_cannot_be_are_named(tmp_path: Path, arrays: Any, said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        _read(_arrays(tmp_path / "a.npz", **arrays))


def test_files_that_cannot_be_are_named(tmp_path: Path) -> None:
    def refused(name: str, said: str) -> None:
        with pytest.raises(InvalidData, match=said):
            _read(tmp_path / name)

    small = _folder(tmp_path / "size")
    Image.fromarray(_mask(1)[:20]).save(small / "masks" / "p03.png")
    refused("size", "masks/p03.png is 32x20 pixels, its picture images/p03.png is 32x24")
    coloured = _folder(tmp_path / "colour")
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(coloured / "masks" / "p04.png")
    refused("colour", "masks/p04.png is a picture in colours")
    blurred = _folder(tmp_path / "jpeg")
    (blurred / "masks" / "p05.png").unlink()
    Image.fromarray(_mask(1)).save(blurred / "masks" / "p05.jpg")
    refused("jpeg", "masks/p05.jpg is a JPEG")
    broken = _folder(tmp_path / "broken")
    (broken / "masks" / "p06.png").write_bytes(b"\x89PNG nothing")
    refused("broken", "masks/p06.png: corrupt mask")
    lacking = _folder(tmp_path / "lacking")
    for number in range(3):
        (lacking / "masks" / f"p{number:02d}.png").unlink()
    refused("lacking", "3 of 20 pictures have no mask, the first is images/p00.png")
    (tmp_path / "empty").mkdir()
    refused("empty", "pictures and masks lie in images/ and masks/")
    deep = _folder(tmp_path / "deep")
    Image.fromarray(_mask(1).astype(np.uint16) * 999).save(deep / "images" / "p08.png")
    refused("deep", "images/p08.png has 16 bits a channel; pictures with masks are of 8 bits")
    (tmp_path / "few.txt").write_text("x")
    refused("few.txt", "a folder, an archive of one, or an .npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    refused("empty.npz", "empty.npz cannot be read")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    refused("one.npz", "one.npz is one array")


def _turn(picture: Path, orientation: int) -> None:
    """Store a picture with a tag that turns it; its pixels stay as they are."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    with Image.open(picture) as opened:
        opened.load()
        opened.save(picture, exif=tags)


def _corner(folder: Path, name: str, sides: tuple[int, int] = (24, 32)) -> None:
    """A picture that is white in its upper left corner, with a mask of that corner."""
    _write(folder, name, np.zeros(sides, np.uint8))
    corner = np.zeros(sides, np.uint8)
    corner[:8, :8] = 255
    corner[8:, 8:] = np.random.default_rng(list(name.encode())).integers(0, 9, np.array(sides) - 8)
    Image.fromarray(corner).save(folder / "images" / f"{name}.png")
    Image.fromarray((corner == 255).astype(np.uint8)).save(folder / "masks" / f"{name}.png")


def _agree(found: MaskedPictures) -> bool:
    return bool(((found.images[..., 0] > 128) == (found.masks == 1)).all())


@pytest.mark.parametrize("orientation", range(2, 9))
def test_masks_drawn_on_pictures_as_stored_are_turned_with_them(
    tmp_path: Path, orientation: int
) -> None:
    source = tmp_path / "set"
    for number in range(20):
        _corner(source, f"p{number:02d}", (24, 24) if number % 2 else (24, 32))
    _turn(source / "images" / "p00.png", 6)  # its sides tell of the others
    _turn(source / "images" / "p01.png", orientation)
    found = _read(source, image_size=24)
    assert _agree(found)
    (note,) = [one for one in found.facts()["report"]["notes"] if "EXIF" in one]
    assert "orientation says: 2; their masks were drawn on the pixels as stored in 2" in note


def test_masks_drawn_on_upright_pictures_stay_as_they_are(tmp_path: Path) -> None:
    source = tmp_path / "set"
    for number in range(20):
        _corner(source, f"p{number:02d}", (24, 24) if number == 1 else (24, 32))
    for name, orientation in (("p00", 6), ("p01", 3), ("p02", 6)):
        picture, mask = source / "images" / f"{name}.png", source / "masks" / f"{name}.png"
        _turn(picture, orientation)
        if name == "p02":  # a mask whose own tag says it
            _turn(mask, orientation)
            continue
        with Image.open(mask) as opened:
            turns = {6: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180}
            turned = opened.transpose(turns[orientation])
        turned.save(mask)
    assert _agree(_read(source, image_size=24))


def test_a_turned_picture_whose_mask_may_be_drawn_on_either_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "set"
    for number in range(20):
        _corner(source, f"p{number:02d}")
    _turn(source / "images" / "p03.png", 3)
    with pytest.raises(InvalidData, match=r"p03.png is stored turned .*and no other picture tells"):
        _read(source)
    _turn(source / "masks" / "p03.png", 3)
    assert _agree(_read(source, image_size=24))


def _with_palette(mask: Path, *colours: tuple[int, int, int]) -> None:
    with Image.open(mask) as opened:
        numbers = Image.fromarray(np.asarray(opened), "P")
    numbers.putpalette([one for colour in colours for one in colour])
    numbers.save(mask)


def test_palettes_in_different_orders_are_refused(tmp_path: Path) -> None:
    black, red, green, blue = (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)
    source = _folder(tmp_path / "set", values=(1, 2))
    for number in range(20):
        _with_palette(source / "masks" / f"p{number:02d}.png", black, red, green)
    _with_palette(source / "masks" / "p07.png", black, red, green, blue)  # blue is not used
    assert _read(source).classes == ("0", "1", "2")
    _with_palette(source / "masks" / "p11.png", black, green, red)
    said = r"p11.png: number 1 is the colour #00ff00, in .*p00.png it is #ff0000: their palettes"
    with pytest.raises(InvalidData, match=said):
        _read(source)


def test_names_of_classes_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    source = _folder(tmp_path / "set")
    (source / "classes.txt").write_text("ground\nroad\ncar\n", encoding="utf-8-sig")
    assert _read(source).classes == ("ground", "road", "car")


def test_what_looks_like_the_tail_of_a_mask_may_be_its_pictures(tmp_path: Path) -> None:
    for number in range(20):
        _write(tmp_path / "set", f"p{number:02d}_gt", _mask(1, 2))
    assert len(_read(tmp_path / "set").images) == 20


def test_a_mask_without_a_picture_is_told(tmp_path: Path) -> None:
    source = _folder(tmp_path / "set")
    (source / "images" / "p07.png").unlink()
    (aside,) = _read(source).facts()["report"]["set_aside"]
    assert (aside["reason"], aside["names"]) == ("mask without a picture", ["masks/p07.png"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"label_column": "a"}, "label_column: masks are read without it"),
        ({"image_size": 4}, "image_size: 4 is not between 16 and 512"),
        ({"split": "a=test"}, "'draw' draws them anew"),
    ],
)
def test_answers_that_masks_have_no_use_for_are_refused(values: Any, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        TASK.answers(values)


@pytest.mark.parametrize("shape", [(24, 32), (32, 24), (17, 17)])
def test_a_mask_is_cut_as_its_picture_is(shape: tuple[int, int]) -> None:
    """Where the right half is of one class, the picture's right half stays under it."""
    mask = np.zeros(shape, dtype=np.int64)
    mask[:, shape[1] // 2 :] = 1
    found = nearest(mask, 12)
    assert found[:, :5].max() == 0
    assert found[:, 7:].min() == 1
    assert np.array_equal(found, verify.squared(mask, 12))
    assert np.array_equal(nearest(mask, min(shape))[0], mask[0, _middle(shape)])


def _middle(shape: tuple[int, int]) -> slice:
    left = (shape[1] - min(shape)) // 2
    return slice(left, left + min(shape))


def test_masks_are_mirrored_with_their_pictures_and_nothing_is_shifted(tmp_path: Path) -> None:
    found = _read(save_shapes(tmp_path / "a.npz"))
    found.save(tmp_path / "stored.npz")
    data = TASK.load(tmp_path / "stored.npz", max_train=20, device=torch.device("cpu"))
    assert isinstance(data, MaskedImages)
    inputs, mirrored = data.augmented(
        data.train.inputs, torch.Generator().manual_seed(0), shift=2, flip=True
    )
    targets = data.mirrored_targets(data.train.targets, mirrored)
    assert 0 < int(mirrored.sum()) < 20
    for row in range(20):
        flip = (lambda one: one.flip(-1)) if mirrored[row] else (lambda one: one)
        assert torch.equal(inputs[row], flip(data.train.inputs[row]))
        assert torch.equal(targets[row], flip(data.train.targets[row]))


def test_pixels_that_nobody_asks_about_cost_nothing() -> None:
    outputs = torch.tensor([[[[2.0, -9.0]], [[0.0, 9.0]]]])  # (1, 2, 1, 2)
    targets = torch.tensor([[[0, 255]]])
    assert float(TASK.loss(outputs, targets)) == pytest.approx(np.log1p(np.exp(-2.0)), abs=1e-6)


def test_a_bundle_judges_masks_by_the_numbers_that_they_came_with() -> None:
    mask = np.array([[0, 7, 255], [7, 0, 0]])
    assert verify.numbered(mask, [0, 7]).tolist() == [[0, 1, 2], [1, 0, 0]]
    told = np.array([[0, 1, 1], [1, 0, 1]])
    # of 5 pixels that are asked about 4 are right: 2 of 3 of class 0, 2 of 3 of class 7
    found = verify.mean_iou([told], [verify.numbered(mask, [0, 7])], 2)
    assert found == pytest.approx(2 / 3)


def test_models_that_answer_with_other_masks_do_not_fit(tmp_path: Path) -> None:
    found = _read(save_shapes(tmp_path / "a.npz"))
    found.save(tmp_path / "stored.npz")
    data = TASK.load(tmp_path / "stored.npz", max_train=None, device=torch.device("cpu"))
    data.require_model((1, 3, 24, 24), 3 * 24 * 24)  # as a winner of its own search answers
    with pytest.raises(InvalidData, match="tells 2 classes apart at each of 576 pixels, the masks"):
        data.require_model((1, 3, 24, 24), 2 * 24 * 24)
    with pytest.raises(InvalidData, match="takes 1 channels, the data set's pictures have 3"):
        data.require_model((1, 1, 24, 24), 3 * 24 * 24)
    with pytest.raises(InvalidSpec, match="balanced: the data set's samples have no classes"):
        batches(data, TrainRecipe(balanced=True), torch.Generator())


def test_a_space_that_classifies_images_refuses_masks() -> None:
    with pytest.raises(InvalidSpec, match="nasbench201 classifies images"):
        NasBench201Space(MaskedImageShape(32, 3, 4, 32))  # type: ignore[arg-type]


def test_masks_are_smaller_where_all_logits_would_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3)).astype(np.uint8)
    source = _arrays(tmp_path / "a.npz", x=x, y=_stripes())
    monkeypatch.setattr("nas_service.learning.segmentation.ingested._MOST_BYTES", 30 * 3 * 4 * 1000)
    found = _read(source)
    assert (found.facts()["size"], found.facts()["mask_side"]) == (32, 16)
    monkeypatch.setattr("nas_service.learning.segmentation.ingested._MOST_BYTES", 30 * 3 * 4 * 100)
    with pytest.raises(InvalidData, match="30 pictures of 3 classes are too many"):
        _read(source)


def _stripes() -> np.ndarray:
    masks = np.zeros((30, 32, 32), dtype=np.int64)
    masks[:, 10:20], masks[:, 20:] = 1, 2
    return masks


def test_folders_of_pictures_and_masks_are_no_classes(tmp_path: Path) -> None:
    """Read as pictures with a label each, they are said to sound like something else."""
    found = inspect(_folder(tmp_path / "set"))
    assert any("`--task segmentation` reads those" in one for one in found.report.notes)
