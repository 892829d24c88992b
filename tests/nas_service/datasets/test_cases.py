"""Sources that tools of this kind are reported to read wrongly: each is read as meant, or asked."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nas_service.datasets.answers import parse
from nas_service.datasets.archives import unpack
from nas_service.datasets.ingest import Ingested, ingest
from nas_service.datasets.inspection import inspect
from nas_service.datasets.pictures import Picture, Reading, header, pixels
from nas_service.datasets.report import Undecided
from nas_service.errors import InvalidData
from nas_service.templates.preprocess import Preprocessing


def _noise(seed: int, tint: int = 0, side: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    pixels[..., tint] = 255
    return Image.fromarray(pixels)


def _folders(root: Path, *parts: str, n: int = 12, ending: str = ".png") -> Path:
    """`n` different pictures in each of `parts` below root."""
    for number, part in enumerate(parts):
        (root / part).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            _noise(1000 * number + i, number % 3).save(root / part / f"{number}_{i:03d}{ending}")
    return root


def _counts(found: Ingested) -> list[int]:
    return np.bincount(found.split, minlength=3).tolist()


def _question(error: pytest.ExceptionInfo[Undecided]) -> dict[str, str]:
    """Options that answer the first question, by what they mean."""
    question = error.value.fields["questions"][0]
    return {one["option"]: one["meaning"] for one in question["alternatives"]}


def test_sixteen_bits_are_scaled_to_their_whole_range(tmp_path: Path) -> None:
    for name, top in (("half", 32767), ("full", 65535)):
        (tmp_path / name).mkdir()
        ramp = (np.linspace(0, 1, 256).reshape(16, 16) * top).astype(np.uint16)
        for i in range(15):
            Image.fromarray(np.roll(ramp, i, axis=1)).save(tmp_path / name / f"{i}.png")
    found = ingest(tmp_path)
    largest = [found.images[found.labels == i].max() for i in range(2)]
    assert found.classes == ("full", "half")
    assert largest[0] == 255
    assert largest[1] == pytest.approx(127.5, abs=1)
    assert any("0 is black, 65535 white" in line for line in found.report["reading"])


def test_twelve_bits_in_sixteen_are_asked(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(12):
            values = np.random.default_rng(i).integers(0, 4096, (16, 16)).astype(np.uint16)
            Image.fromarray(values + ord(name[0]) % 2).save(tmp_path / name / f"{i}.tif")
    with pytest.raises(Undecided) as error:
        ingest(tmp_path)
    assert "--value-range 0,4095" in _question(error)
    found = ingest(tmp_path, parse({"value_range": "0,4095"}))
    assert found.images.max() > 250


@pytest.mark.parametrize("value", [1.0001, 1.7])
def test_a_float_above_one_does_not_change_the_scale_of_all(tmp_path: Path, value: float) -> None:
    generator = np.random.default_rng(5)
    x = (generator.integers(0, 256, (60, 12, 12, 3)) / 255).astype(np.float32)
    x[3, 0, 0, 0] = value
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(60) % 2)
    with pytest.raises(Undecided, match="row 3") as error:
        ingest(tmp_path / "d.npz")
    assert "--value-range 0,1" in _question(error)
    found = ingest(tmp_path / "d.npz", parse({"value_range": "0,1"}))
    assert 100 < found.images.mean() < 155


@pytest.mark.parametrize(
    "parts",
    [
        ("cats/train", "cats/test", "dogs/train", "dogs/test"),
        ("train/cats", "train/dogs", "test/cats", "test/dogs"),
        ("Training/cats", "Training/dogs", "Testing/cats", "Testing/dogs"),
        ("seg_train/seg_train/cats", "seg_train/seg_train/dogs", "seg_test/cats", "seg_test/dogs"),
        ("pets/train_set/cats", "pets/train_set/dogs", "pets/test_set/cats", "pets/test_set/dogs"),
        ("images/TRAIN/cats", "images/TRAIN/dogs", "images/TEST/cats", "images/TEST/dogs"),
        ("pets_train/cats", "pets_train/dogs", "pets_test/cats", "pets_test/dogs"),
        ("train2017/cats", "train2017/dogs", "test2017/cats", "test2017/dogs"),
        ("train/images/cats", "train/images/dogs", "test/images/cats", "test/images/dogs"),
    ],
)
def test_parts_keep_their_pictures_in_any_layout_and_spelling(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    found = ingest(_folders(tmp_path, *parts))
    assert found.classes == ("cats", "dogs")
    assert _counts(found)[2] == 24
    assert sum(_counts(found)) == 48


def test_a_validation_folder_is_the_validation_part(tmp_path: Path) -> None:
    parts = [f"{s}/{c}" for s in ("train", "val", "test") for c in ("cats", "dogs")]
    assert _counts(ingest(_folders(tmp_path, *parts))) == [24, 24, 24]


def test_a_held_out_folder_is_asked_about(tmp_path: Path) -> None:
    _folders(tmp_path, *[f"{s}/{c}" for s in ("train", "eval") for c in ("cats", "dogs")], n=20)
    with pytest.raises(Undecided) as error:
        ingest(tmp_path)
    assert len(error.value.fields["questions"]) == 1
    assert set(_question(error)) == {"--split eval=validation", "--split eval=test"}
    assert _counts(ingest(tmp_path, parse({"split": "eval=test"})))[2] == 40


def test_a_class_that_is_called_like_a_part_is_asked_about(tmp_path: Path) -> None:
    _folders(tmp_path, "bus", "car", "train")
    with pytest.raises(Undecided, match="'train' stands beside 'bus', 'car'"):
        ingest(tmp_path)
    found = ingest(tmp_path, parse({"classes": "flat"}))
    assert found.classes == ("bus", "car", "train")
    found = ingest(tmp_path, parse({"split": "train=ignore"}))
    assert found.classes == ("bus", "car")


def test_a_test_folder_beside_the_classes_that_it_holds_is_a_part(tmp_path: Path) -> None:
    found = ingest(_folders(tmp_path, "cats", "dogs", "test/cats", "test/dogs", n=15))
    assert found.classes == ("cats", "dogs")
    assert _counts(found)[2] == 30


def test_names_of_part_and_class_together_are_asked_about(tmp_path: Path) -> None:
    _folders(tmp_path, "train_cats", "train_dogs", "test_cats", "test_dogs")
    with pytest.raises(Undecided, match="named after parts and something else"):
        ingest(tmp_path)


@pytest.mark.parametrize(
    ("answer", "classes"),
    [
        ("leaf", ("blue", "red")),
        ("top", ("shirt", "shoe")),
        ("path", ("shirt/blue", "shirt/red", "shoe/red")),
    ],
)
def test_classes_within_classes_are_asked_about(
    tmp_path: Path, answer: str, classes: tuple[str, ...]
) -> None:
    _folders(tmp_path, "shirt/red", "shirt/blue", "shoe/red", n=15)
    with pytest.raises(Undecided, match="folders within folders"):
        ingest(tmp_path)
    assert ingest(tmp_path, parse({"classes": answer})).classes == classes


def test_folders_below_a_class_stay_on_one_side(tmp_path: Path) -> None:
    people = [f"{c}/person{i}" for c in ("ill", "well") for i in range(10)]
    found = ingest(_folders(tmp_path, *people, n=3), parse({"classes": "groups"}))
    assert found.classes == ("ill", "well")
    assert all(n % 3 == 0 for n in _counts(found))


def test_pictures_are_stored_upright(tmp_path: Path) -> None:
    turns = {1: 0, 3: 2, 6: 1, 8: 3}
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        generator = np.random.default_rng(seed)
        for orientation, quarter in turns.items():
            for i in range(5):
                pixels = generator.integers(0, 60, (32, 32, 3), dtype=np.uint8)
                pixels[:8] += 190
                meta = Image.Exif()
                meta[0x0112] = orientation
                turned = Image.fromarray(np.rot90(pixels, quarter).copy())
                turned.save(tmp_path / name / f"{orientation}_{i}.jpg", exif=meta, quality=95)
    found = ingest(tmp_path)
    assert (found.images[:, :6].mean(axis=(1, 2, 3)) > 180).all()
    assert (found.images[:, 10:].mean(axis=(1, 2, 3)) < 80).all()
    assert "30 pictures turned upright as their EXIF orientation says" in found.report["reading"]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_tiffs_are_read_upright(
    tmp_path: Path, orientation: int, mode: str, compression: str | None
) -> None:
    """Against the same pixels in a PNG with the same tag, whose sides the library does not turn."""
    generator = np.random.default_rng(4)
    sides = (20, 24, 3) if mode == "RGB" else (20, 24)
    top = 60_000 if mode == "I;16" else 256
    stored = generator.integers(0, top, sides).astype(np.uint16 if mode == "I;16" else np.uint8)
    tags = Image.Exif()
    tags[0x0112] = orientation
    paths = tmp_path / "a.tif", tmp_path / "a.png"
    Image.fromarray(stored).save(paths[0], exif=tags, compression=compression)
    Image.fromarray(stored).save(paths[1], exif=tags)
    tiff, png = (Picture(one.name, "", one) for one in paths)
    assert np.array_equal(pixels(tiff, Reading()), pixels(png, Reading()))
    sides_of = {(told.height, told.width) for told in (header(tiff), header(png))}
    assert sides_of == {(20, 24) if orientation < 5 else (24, 20)}
    assert header(tiff).turned == (orientation != 1)
    n = 3 if mode == "RGB" else 1
    in_bundle = Preprocessing({"size": 16, "channels": n, "mean": [0.0] * n, "std": [1.0] * n})
    assert np.array_equal(in_bundle.file(paths[0]), in_bundle.file(paths[1]))


@pytest.mark.parametrize("bits", [8, 16])
def test_tiffs_that_count_from_white_on_are_no_negatives(tmp_path: Path, bits: int) -> None:
    shades = np.linspace(0, 2**bits - 1, 64).reshape(8, 8).astype(f"uint{bits}")
    stored = (2**bits - 1 - shades).astype(shades.dtype)
    Image.fromarray(stored).save(tmp_path / "white.tif", tiffinfo={262: 0})
    if bits == 8:  # the library turns these as it writes them
        Image.fromarray(shades).save(tmp_path / "white.tif", tiffinfo={262: 0})
    Image.fromarray(shades).save(tmp_path / "black.tif")
    white, black = (Picture(one, "", tmp_path / one) for one in ("white.tif", "black.tif"))
    found, wanted = (pixels(one, Reading()).astype(int) for one in (white, black))
    assert np.abs(found - wanted).max() <= 1
    in_bundle = Preprocessing({"size": 8, "channels": 1, "mean": [0.0], "std": [1.0]})
    of_both = (in_bundle.file(tmp_path / one) for one in ("white.tif", "black.tif"))
    assert np.allclose(*of_both, atol=2 / 255)


def _icons(root: Path, colour: int) -> Path:
    generator = np.random.default_rng(3)
    for name in ("arrows", "boxes"):
        (root / name).mkdir(parents=True)
        for i in range(15):
            pixels = np.full((16, 16, 4), colour, dtype=np.uint8)
            pixels[..., 3] = generator.integers(0, 2, (16, 16)) * 255
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def test_alpha_is_composed_over_a_stated_background(tmp_path: Path) -> None:
    found = ingest(_icons(tmp_path, 0))
    assert len({image.tobytes() for image in found.images}) == 30
    assert "30 pictures have alpha: composed over #ffffff" in found.report["reading"]
    over = ingest(tmp_path, parse({"background": "#ff0000"}))
    assert (over.images[..., 0].max(), over.images[..., 1].max()) == (255, 0)


def test_white_drawings_over_white_are_asked_about(tmp_path: Path) -> None:
    _icons(tmp_path, 255)
    with pytest.raises(Undecided, match="show nothing over white") as error:
        ingest(tmp_path)
    assert "--background black" in _question(error)
    assert len({i.tobytes() for i in ingest(tmp_path, parse({"background": "black"})).images}) == 30


def test_every_ending_that_can_be_read_is_read(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs")
    for number, ending in enumerate((".tif", ".jfif", ".jp2", ".tga", ".PCX")):
        _folders(tmp_path / "more", f"class{number}", ending=ending)
    for place in (tmp_path / "more").iterdir():
        place.rename(tmp_path / place.name)
    (tmp_path / "more").rmdir()
    (tmp_path / "cats" / "no_ending").write_bytes((tmp_path / "cats" / "0_000.png").read_bytes()[:])
    found = ingest(tmp_path)
    assert found.classes == ("cats", *(f"class{i}" for i in range(5)), "dogs")
    assert len(found.labels) == 85


def test_a_class_whose_files_cannot_be_read_stops_the_import(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs")
    (tmp_path / "fish").mkdir()
    for i in range(12):
        (tmp_path / "fish" / f"{i}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(InvalidData, match=r"fish: 12 files, none of which .*\.heic.*fish=ignore"):
        ingest(tmp_path)
    assert ingest(tmp_path, parse({"split": "fish=ignore"})).classes == ("cats", "dogs")


def test_links_are_followed_inside_what_may_be_read_and_named_elsewhere(tmp_path: Path) -> None:
    _folders(tmp_path / "data", "cats", "dogs")
    _folders(tmp_path / "elsewhere", "birds")
    (tmp_path / "data" / "birds").symlink_to(tmp_path / "elsewhere" / "birds")
    (tmp_path / "data" / "cats" / "round").symlink_to(tmp_path / "data")
    assert ingest(tmp_path / "data").classes == ("birds", "cats", "dogs")
    inside = inspect(tmp_path / "data", within=[tmp_path / "data"]).report
    assert inside.classes == ("cats", "dogs")
    aside = {one["reason"]: one["names"] for one in inside.set_aside}
    assert "birds" in aside["link that leads out of the folder"]


def _hugging_face(path: Path, order: list[str], seed: int, label: str = "label") -> None:
    images, labels = [], []
    for i in range(24):
        content = io.BytesIO()
        _noise(seed + i).save(content, "PNG")
        images.append({"bytes": content.getvalue(), "path": f"{i}.png"})
        labels.append(i % 2)
    features = {"image": {"_type": "Image"}, label: {"names": order, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": images, label: labels}).replace_schema_metadata(metadata)
    pq.write_table(table, path)


def test_labels_go_by_the_names_of_their_own_file(tmp_path: Path) -> None:
    _hugging_face(tmp_path / "a.parquet", ["cat", "dog"], 0)
    _hugging_face(tmp_path / "b.parquet", ["dog", "cat"], 100)
    seen = inspect(tmp_path)
    assert seen.classes == ("cat", "dog")
    assert [one.label for one in seen.pictures[:2]] == ["cat", "dog"]
    assert [one.label for one in seen.pictures[24:26]] == ["dog", "cat"]


def test_columns_of_other_names_are_found_or_asked_about(tmp_path: Path) -> None:
    _hugging_face(tmp_path / "train-00000-of-00001.parquet", ["cat", "dog"], 0, "species")
    _hugging_face(tmp_path / "test-00000-of-00001.parquet", ["cat", "dog"], 100, "species")
    assert _counts(ingest(tmp_path))[2] == 24
    table = pq.read_table(tmp_path / "train-00000-of-00001.parquet")
    both = table.rename_columns(["image", "fine"]).append_column("coarse", pa.array([0] * 24))
    pq.write_table(both.replace_schema_metadata(None), tmp_path / "both.parquet")
    with pytest.raises(Undecided, match="which column holds the labels") as error:
        ingest(tmp_path / "both.parquet")
    assert "--label-column fine" in _question(error)
    assert ingest(tmp_path / "both.parquet", parse({"label_column": "fine"})).classes == ("0", "1")


def test_copies_never_stand_on_both_sides(tmp_path: Path) -> None:
    _folders(tmp_path, *[f"{s}/{c}" for s in ("train", "test") for c in ("cats", "dogs")], n=20)
    for twin in list((tmp_path / "test").rglob("*_00[0-4].png")):
        (tmp_path / "train" / twin.parent.name / f"copy_{twin.name}").write_bytes(twin.read_bytes())
    found = ingest(tmp_path)
    trained = {i.tobytes() for i in found.images[found.split != 2]}
    assert not trained & {i.tobytes() for i in found.images[found.split == 2]}
    assert sum(_counts(found)) == 80
    reasons = {one["reason"]: one["n"] for one in found.report["set_aside"]}
    assert reasons["copy of a picture in another part"] == 10


def test_a_test_part_that_is_the_training_part_is_asked_about(tmp_path: Path) -> None:
    _folders(tmp_path, "train/cats", "train/dogs", n=20)
    for one in list((tmp_path / "train").rglob("*.png")):
        twin = tmp_path / "test" / one.parent.name / one.name
        twin.parent.mkdir(parents=True, exist_ok=True)
        twin.write_bytes(one.read_bytes())
    with pytest.raises(Undecided, match="stand in another part too"):
        ingest(tmp_path)
    found = ingest(tmp_path, parse({"split": "draw"}))
    parts = [{i.tobytes() for i in found.images[found.split == part]} for part in range(3)]
    assert all(parts)
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]


def test_copies_are_drawn_together(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs", n=30)
    for one in list(tmp_path.rglob("*_00?.png")):
        for i in range(3):
            (one.parent / f"again{i}_{one.name}").write_bytes(one.read_bytes())
    found = ingest(tmp_path)
    parts = [{i.tobytes() for i in found.images[found.split == part]} for part in range(3)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert any("copies of others" in note for note in found.report["notes"])


def test_what_systems_leave_behind_is_no_data(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs", ".ipynb_checkpoints", "__MACOSX/cats")
    (tmp_path / "cats" / "._0_000.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "cats" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "dogs" / "desktop.ini").write_text("[x]")
    (tmp_path / "README.md").write_text("pictures of pets")
    found = ingest(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert len(found.labels) == 24
    aside = {one["reason"]: one["names"] for one in found.report["set_aside"]}
    assert "cats/Thumbs.db" in aside["hidden, or made by the system"]
    assert aside["no picture (.md)"] == ["README.md"]


def test_all_unreadable_files_are_named_at_once_and_a_share_may_be_allowed(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs", n=100)
    (tmp_path / "cats" / "0_003.png").write_bytes(b"\x89PNG nothing")
    whole = (tmp_path / "dogs" / "1_007.png").read_bytes()
    (tmp_path / "dogs" / "1_008.png").write_bytes(b"no picture at all")
    with pytest.raises(Undecided, match=r"2 of 200 .*cats/0_003.png.*dogs/1_008.png") as error:
        ingest(tmp_path)
    assert "--allow-unreadable 1%" in _question(error)
    assert len(ingest(tmp_path, parse({"allow_unreadable": "1%"})).labels) == 198
    (tmp_path / "dogs" / "1_007.png").write_bytes(whole[: len(whole) // 2])  # its header is fine
    with pytest.raises(Undecided, match=r"1_007\.png"):
        ingest(tmp_path, parse({"allow_unreadable": "1%"}))


def test_names_in_any_encoding_are_read(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs")
    composed, apart = "caf\u00e9", "cafe\u0301"
    _folders(tmp_path / "more", composed)
    (tmp_path / "more" / composed).rename(tmp_path / composed)
    _folders(tmp_path / "more", "x", apart)
    (tmp_path / "more" / apart).rename(tmp_path / apart)
    latin = Path(os.fsdecode(os.fsencode(tmp_path / "cats") + b"/caf\xe9.png"))
    with latin.open("wb") as stream:
        _noise(77).save(stream, "PNG")
    (tmp_path / "more").rename(tmp_path.parent / "more")
    found = ingest(tmp_path)
    assert set(found.classes) == {composed, "cats", "dogs"}
    assert len(found.labels) == 12 * 4 + 1


def test_archives_of_any_system_are_unpacked(tmp_path: Path) -> None:
    _folders(tmp_path / "pets", "cats", "dogs")
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        for file in (tmp_path / "pets").rglob("*.png"):
            archive.write(file, f"pets/{file.relative_to(tmp_path / 'pets')}")
            archive.writestr(f"__MACOSX/pets/{file.parent.name}/._{file.name}", b"\0\5\x16\7")
        archive.writestr("pets/.DS_Store", b"x")
        archive.writestr("pets\\cats\\windows.png", (tmp_path / "pets/cats/0_000.png").read_bytes())
    with tarfile.open(tmp_path / "pets.tgz", "w:gz") as packed:
        packed.add(tmp_path / "pets", "pets")
        again = tarfile.TarInfo("pets/cats/again.png")
        again.type, again.linkname = tarfile.LNKTYPE, "pets/cats/0_000.png"
        packed.addfile(again)
    for name, n in (("mac.zip", 25), ("pets.tgz", 25)):
        found = ingest(unpack(tmp_path / name, tmp_path / f"out_{name}"))
        assert found.classes == ("cats", "dogs")
        assert len(found.labels) == n


def test_parquet_beside_class_folders_is_asked_about(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs")
    _hugging_face(tmp_path / "a.parquet", ["cat", "dog"], 500)
    with pytest.raises(Undecided) as error:
        ingest(tmp_path)
    assert set(_question(error)) == {"--layout folders", "--layout parquet"}
    assert ingest(tmp_path, parse({"layout": "folders"})).classes == ("cats", "dogs")
    assert ingest(tmp_path, parse({"layout": "parquet"})).classes == ("cat", "dog")


def test_a_class_in_one_part_alone_is_asked_about(tmp_path: Path) -> None:
    _folders(tmp_path, "train/cats", "train/dogs", "test/cats", "test/dogs", "test/fish", n=20)
    with pytest.raises(Undecided, match="'fish' in train") as error:
        ingest(tmp_path)
    assert "--split draw" in _question(error)
    assert ingest(tmp_path, parse({"split": "draw"})).classes == ("cats", "dogs", "fish")


X = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
Y = np.arange(60) % 3


@pytest.mark.parametrize(
    ("arrays", "classes"),
    [
        ({"x": X, "y": np.array(["ant", "bee", "cat"])[Y]}, ("ant", "bee", "cat")),
        ({"x": X, "y": Y == 1}, ("0", "1")),
        ({"x": X, "y": Y.astype(np.float32)}, ("0", "1", "2")),
        ({"x": X, "y": Y[:, None]}, ("0", "1", "2")),
        ({"x": X, "y": np.eye(3, dtype=np.uint8)[Y]}, ("0", "1", "2")),
        ({"x": X, "y": Y + 1}, ("1", "2", "3")),
        ({"images": X, "labels": Y, "class_names": np.array(["a", "b", "c"])}, ("a", "b", "c")),
        ({"data": X, "target": Y}, ("0", "1", "2")),
    ],
)
def test_labels_of_any_type_are_read(
    tmp_path: Path, arrays: dict[str, np.ndarray], classes: tuple[str, ...]
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    seen = inspect(tmp_path / "d.npz")
    assert seen.classes == classes
    labels = [seen.classes.index(one.label) for one in seen.pictures]
    assert labels == (Y.tolist() if len(classes) == 3 else (Y == 1).astype(int).tolist())


def test_given_parts_of_arrays_are_kept(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=X[:42], y_train=Y[:42], x_test=X[42:], y_test=Y[42:])
    found = ingest(tmp_path / "a.npz")
    assert _counts(found)[2] == 18
    split = np.array(["train"] * 36 + ["val"] * 12 + ["test"] * 12)
    np.savez(tmp_path / "b.npz", x=X, y=Y, split=split)
    assert _counts(ingest(tmp_path / "b.npz")) == [36, 12, 12]
    np.savez(tmp_path / "c.npz", x=X, y=Y, split=np.repeat([0, 1], [45, 15]))
    with pytest.raises(Undecided, match="part '0'"):
        ingest(tmp_path / "c.npz")
    found = ingest(tmp_path / "c.npz", parse({"split": "0=train,1=test"}))
    assert _counts(found)[2] == 15


def test_arrays_beyond_eight_bits_and_with_alpha_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X.astype(np.uint16) * 257, y=Y)
    assert np.array_equal(np.sort(ingest(tmp_path / "a.npz").images, None), np.sort(X, None))
    alpha = np.concatenate([np.zeros_like(X), X[..., :1]], axis=3)
    np.savez(tmp_path / "b.npz", x=alpha, y=Y)
    found = ingest(tmp_path / "b.npz")
    assert np.array_equal(np.sort(found.images[..., 0], None), np.sort(255 - X[..., 0], None))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])  # as spreadsheet programs save it
def test_a_table_of_paths_and_labels_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "img").mkdir()
    rows = ["file;species;split;patient"]
    for i in range(60):
        _noise(i).save(tmp_path / "img" / f"{i}.png")
        part = "train" if i < 40 else "test"
        rows.append(f"img/{i}.png;{'cat' if i % 2 else 'dog'};{part};p{i // 4}")
    rows.append("img/missing.png;cat;train;p1")
    (tmp_path / "labels.csv").write_text("\r\n".join(rows), encoding=encoding)
    with pytest.raises(Undecided, match="which column holds the labels"):
        ingest(tmp_path)
    found = ingest(tmp_path, parse({"label_column": "species"}))
    assert found.classes == ("cat", "dog")
    assert _counts(found)[2] == 20
    aside = {one["reason"]: one["names"] for one in found.report["set_aside"]}
    assert aside["in labels.csv, but not here"] == ["img/missing.png"]
    assert "pictures of one patient stay on one side" in found.report["notes"]


def _patients(folder: Path) -> dict[int, set[int]]:
    """The parts in which each patient's six pictures are, after an import of 60."""
    found = ingest(folder)
    given = {np.asarray(_noise(i)).tobytes(): i for i in range(60)}
    where: dict[int, set[int]] = {}
    for image, part in zip(found.images, found.split.tolist(), strict=True):
        where.setdefault(given[image.tobytes()] // 6, set()).add(part)
    return where


_COMPOSED, _APART = "caf\N{LATIN SMALL LETTER E WITH ACUTE}{}", "cafe\N{COMBINING ACUTE ACCENT}{}"


@pytest.mark.parametrize("odd", [f"{_COMPOSED} ", _APART])
def test_a_group_is_the_same_however_it_is_written(tmp_path: Path, odd: str) -> None:
    rows = ["path,label,patient"]
    for i in range(60):
        _noise(i).save(tmp_path / f"{i}.png")
        patient = (odd if i % 3 == 0 else _COMPOSED).format(i // 6)
        rows.append(f"{i}.png,{'ab'[i % 2]},{patient}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert all(len(parts) == 1 for parts in _patients(tmp_path).values())


def test_pictures_without_a_group_are_on_no_one_side(tmp_path: Path) -> None:
    rows = ["path,label,patient"]
    for i in range(60):
        _noise(i).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]},{'' if i < 30 else i}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    parts = ingest(tmp_path).split
    assert np.bincount(parts, minlength=3).max() < 50  # drawn one by one: 60, 20 and 20 percent


@pytest.mark.parametrize(
    "cell", ["{c}/{i}.png", "{c}/{i}", "/home/me/{c}/{i}.png", "C:\\me\\{c}\\{i}.png"]
)
def test_rows_may_name_the_end_of_a_path_or_that_of_another_machine(
    tmp_path: Path, cell: str
) -> None:
    above = tmp_path / "images" if cell.startswith("{c}") else tmp_path
    rows = ["path,label,split"]
    for number, c in enumerate(("apple", "pear")):
        (above / c).mkdir(parents=True)
        for i in range(30):
            _noise(i + 100 * number).save(above / c / f"{i}.png")
            rows.append(f"{cell.format(c=c, i=i)},{c},{'train' if i < 15 else 'test'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert _counts(ingest(tmp_path, parse({"layout": "table"})))[2] == 30


def test_a_table_whose_paths_lead_nowhere_is_told_of(tmp_path: Path) -> None:
    _folders(tmp_path, "apple", "pear", n=30)
    rows = ["path,label,split", *(f"img{i},apple,test" for i in range(30))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (note,) = [one for one in ingest(tmp_path).report["notes"] if "labels.csv" in one]
    assert "is not read, neither its labels nor its parts" in note
    assert "as 'img0' in column 'path'" in note


def test_a_picture_is_found_by_its_path_whatever_others_are_called(tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    rows = ["path,label"]
    for i in range(24):
        _noise(i).save(tmp_path / f"{i}.png")
        if i < 4:
            _noise(100 + i).save(tmp_path / "extra" / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = ingest(tmp_path, parse({"layout": "table"}))
    stored = {one.tobytes() for one in found.images}
    assert stored == {np.asarray(_noise(i)).tobytes() for i in range(24)}


def test_names_beside_labels_that_are_texts_need_not_be_theirs(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    files = np.array([f"{i}.png" for i in range(40)])
    np.savez(tmp_path / "a.npz", x=x, labels=np.array(["cat", "dog"] * 20), names=files[:9])
    found = ingest(tmp_path / "a.npz")
    assert found.classes == ("cat", "dog")
    assert "names of classes are not read: labels are others" in found.report["notes"]
    np.savez(tmp_path / "b.npz", x=x, y=np.arange(40) % 2, class_names=np.array([b"cat", b"dog "]))
    assert ingest(tmp_path / "b.npz").classes == ("cat", "dog")
    np.savez(tmp_path / "b2.npz", x=x, y=np.arange(40) % 2, names=files.astype(bytes))
    assert ingest(tmp_path / "b2.npz").classes == ("0", "1")  # one a picture are no classes'
    order = {"labels": np.array(["1.0", "2.0"] * 20), "class_names": np.array(["2.0", "1.0"])}
    np.savez(tmp_path / "b3.npz", x=x, **order)
    assert ingest(tmp_path / "b3.npz").classes == ("2", "1")
    np.savez(tmp_path / "c.npz", x=x, y=np.arange(40) % 2 * 2 - 1)
    assert ingest(tmp_path / "c.npz").classes == ("-1", "1")


def test_parts_by_number_are_asked_about_from_nought_on(tmp_path: Path) -> None:
    pictures = []
    for i in range(60):
        stream = io.BytesIO()
        _noise(i).save(stream, "PNG")
        pictures.append({"bytes": stream.getvalue(), "path": f"{i}.png"})
    labels = pa.array(["cat", "dog"] * 30).dictionary_encode()
    table = {"image": pictures, "label": labels, "split": [i % 3 for i in range(60)]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    answers = parse({"split": "0=train,1=validation,2=test"})
    found = ingest(tmp_path / "a.parquet", answers)
    assert (found.classes, _counts(found)) == (("cat", "dog"), [20, 20, 20])


def test_labels_that_sound_like_names_of_pictures_are_none(tmp_path: Path) -> None:
    rows = ["class,number"]
    for part, shift in (("train", 0), ("test", 100)):
        (tmp_path / part).mkdir()
        for i in range(30):
            _noise(i + shift).save(tmp_path / part / f"{i}.png")
            rows += [f"{i % 3},{i}"] if part == "train" else []
    (tmp_path / "train" / "labels.csv").write_text("\n".join(rows))
    assert ingest(tmp_path, parse({"layout": "table"})).classes == ("0", "1", "2")


def test_an_empty_cell_names_no_picture(tmp_path: Path) -> None:
    (tmp_path / "cover").mkdir()
    rows = [",path,label"]
    for i in range(24):
        name = f"{i}.png" if i else "cover.png"
        _noise(i).save(tmp_path / "cover" / name)
        rows.append(f"{i},{name},{'ab'[i % 2]}")
    (tmp_path / "cover" / "labels.csv").write_text("\n".join(rows))
    assert len(ingest(tmp_path, parse({"layout": "table"})).images) == 24


def test_long_cells_and_deep_folders_take_no_more_than_others(tmp_path: Path) -> None:
    """Of a path of a megabyte every end was tried, of a deep picture every end was kept."""
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    rows = ["path,label", *("/a" * 40_000 + f"/{i}.png,x" for i in range(30))]
    for i in range(24):
        _noise(i).save(deep / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows[:1] + rows[31:] + rows[1:11]))
    found = ingest(tmp_path, parse({"layout": "table"}))
    assert len(found.images) == 24


def test_unequal_classes_are_told(tmp_path: Path) -> None:
    _folders(tmp_path, "rare", n=10)
    _folders(tmp_path / "x", "a", "common", n=120)
    (tmp_path / "x" / "common").rename(tmp_path / "common")
    for file in (tmp_path / "x").rglob("*.png"):
        file.unlink()
    report = inspect(tmp_path).report
    assert any("120 pictures of 'common', 10 of 'rare'" in note for note in report.notes)


def test_large_pictures_are_stored_as_large_as_asked(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            _noise(i + 100 * ord(name), side=320).save(tmp_path / name / f"{i}.png")
    report = inspect(tmp_path).report
    assert any("--image-size keeps more" in line for line in report.reading)
    assert ingest(tmp_path, parse({"image_size": 320})).images.shape == (20, 320, 320, 3)


def test_a_link_in_an_archive_is_refused_by_name(tmp_path: Path) -> None:
    _folders(tmp_path / "pets", "cats", "dogs")
    with tarfile.open(tmp_path / "pets.tar", "w") as packed:
        packed.add(tmp_path / "pets", "pets")
        link = tarfile.TarInfo("pets/birds")
        link.type, link.linkname = tarfile.SYMTYPE, "/elsewhere/birds"
        packed.addfile(link)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        member = zipfile.ZipInfo("pets/birds")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/elsewhere/birds")
    for name in ("pets.tar", "pets.zip"):
        with pytest.raises(InvalidData, match="pets/birds in the archive is a link"):
            unpack(tmp_path / name, tmp_path / f"out_{name}")


def test_pictures_that_no_row_describes_are_told(tmp_path: Path) -> None:
    for i in range(40):
        _noise(i).save(tmp_path / f"{i}.png")
    rows = ["path,label", *(f"{i}.png,{'cat' if i % 2 else 'dog'}" for i in range(30))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "sample.csv").write_text("name,guess\nx,u\ny,v")
    found = ingest(tmp_path)
    assert len(found.labels) == 30
    aside = {one["reason"]: one for one in found.report["set_aside"]}
    assert aside["picture that nothing describes"]["n"] == 10
    assert aside["no picture (.csv)"]["names"] == ["sample.csv"]


def test_an_answer_about_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    _folders(tmp_path, "cats", "dogs", "fish")
    with pytest.raises(InvalidData, match="no folder is called 'fihs'; there are cats, dogs, fish"):
        ingest(tmp_path, parse({"split": "fihs=ignore"}))


@pytest.mark.parametrize("values", [(-5.0, -2.0), (float("nan"), float("nan")), (0.0, 3e5)])
def test_odd_floating_pictures_are_asked_about_or_refused(
    values: tuple[float, float], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            pixels = np.linspace(*values, 256, dtype=np.float32).reshape(16, 16) + i
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.tif")
    with pytest.raises(InvalidData):
        ingest(tmp_path)


def test_deep_pictures_that_are_cut_off_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            noise = np.random.default_rng(i).integers(0, 65536, (32, 32)).astype(np.uint16)
            Image.fromarray(noise).save(tmp_path / name / f"{i}.png")
            whole = (tmp_path / name / f"{i}.png").read_bytes()
            (tmp_path / name / f"{i}.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidData, match=r"none of 20 pictures can be read, as a/0\.png"):
        ingest(tmp_path)


def test_a_second_table_of_the_same_pictures_is_asked_about(tmp_path: Path) -> None:
    """A sample of what to hand in names pictures and labels like any other table."""
    for i in range(60):
        _noise(i).save(tmp_path / f"{i}.png")
    rows = ["id,label", *(f"{i},{'cat' if i % 2 else 'dog'}" for i in range(40))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    handed_in = ["id,label", *(f"{i},cat" for i in range(40, 60))]
    (tmp_path / "sample_submission.csv").write_text("\n".join(handed_in))
    with pytest.raises(Undecided, match="one of 2 tables of these pictures"):
        ingest(tmp_path)
    answer = parse({"split": "sample_submission=ignore,labels=train"})
    assert len(ingest(tmp_path, answer).labels) == 40
