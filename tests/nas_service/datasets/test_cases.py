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

from nas_service.datasets.answers import parse
from nas_service.datasets.archives import unpack
from nas_service.datasets.ingest import ingest
from nas_service.datasets.inspection import inspect
from nas_service.datasets.report import Undecided
from nas_service.errors import InvalidData
from tests.folders_of_pictures import X, Y, counts, folders, noise, question


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
    found = ingest(folders(tmp_path, *parts))
    assert found.classes == ("cats", "dogs")
    assert counts(found)[2] == 24
    assert sum(counts(found)) == 48


def test_a_validation_folder_is_the_validation_part(tmp_path: Path) -> None:
    parts = [f"{s}/{c}" for s in ("train", "val", "test") for c in ("cats", "dogs")]
    assert counts(ingest(folders(tmp_path, *parts))) == [24, 24, 24]


def test_a_held_out_folder_is_asked_about(tmp_path: Path) -> None:
    folders(tmp_path, *[f"{s}/{c}" for s in ("train", "eval") for c in ("cats", "dogs")], n=20)
    with pytest.raises(Undecided) as error:
        ingest(tmp_path)
    assert len(error.value.fields["questions"]) == 1
    assert set(question(error)) == {"--split eval=validation", "--split eval=test"}
    assert counts(ingest(tmp_path, parse({"split": "eval=test"})))[2] == 40


def test_a_class_that_is_called_like_a_part_is_asked_about(tmp_path: Path) -> None:
    folders(tmp_path, "bus", "car", "train")
    with pytest.raises(Undecided, match="'train' stands beside 'bus', 'car'"):
        ingest(tmp_path)
    found = ingest(tmp_path, parse({"classes": "flat"}))
    assert found.classes == ("bus", "car", "train")
    found = ingest(tmp_path, parse({"split": "train=ignore"}))
    assert found.classes == ("bus", "car")


def test_a_test_folder_beside_the_classes_that_it_holds_is_a_part(tmp_path: Path) -> None:
    found = ingest(folders(tmp_path, "cats", "dogs", "test/cats", "test/dogs", n=15))
    assert found.classes == ("cats", "dogs")
    assert counts(found)[2] == 30


def test_names_of_part_and_class_together_are_asked_about(tmp_path: Path) -> None:
    folders(tmp_path, "train_cats", "train_dogs", "test_cats", "test_dogs")
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
    folders(tmp_path, "shirt/red", "shirt/blue", "shoe/red", n=15)
    with pytest.raises(Undecided, match="folders within folders"):
        ingest(tmp_path)
    assert ingest(tmp_path, parse({"classes": answer})).classes == classes


def test_folders_below_a_class_stay_on_one_side(tmp_path: Path) -> None:
    people = [f"{c}/person{i}" for c in ("ill", "well") for i in range(10)]
    found = ingest(folders(tmp_path, *people, n=3), parse({"classes": "groups"}))
    assert found.classes == ("ill", "well")
    assert all(n % 3 == 0 for n in counts(found))


def test_a_class_whose_files_cannot_be_read_stops_the_import(tmp_path: Path) -> None:
    folders(tmp_path, "cats", "dogs")
    (tmp_path / "fish").mkdir()
    for i in range(12):
        (tmp_path / "fish" / f"{i}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(InvalidData, match=r"fish: 12 files, none of which .*\.heic.*fish=ignore"):
        ingest(tmp_path)
    assert ingest(tmp_path, parse({"split": "fish=ignore"})).classes == ("cats", "dogs")


def test_links_are_followed_inside_what_may_be_read_and_named_elsewhere(tmp_path: Path) -> None:
    folders(tmp_path / "data", "cats", "dogs")
    folders(tmp_path / "elsewhere", "birds")
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
        noise(seed + i).save(content, "PNG")
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
    assert counts(ingest(tmp_path))[2] == 24
    table = pq.read_table(tmp_path / "train-00000-of-00001.parquet")
    both = table.rename_columns(["image", "fine"]).append_column("coarse", pa.array([0] * 24))
    pq.write_table(both.replace_schema_metadata(None), tmp_path / "both.parquet")
    with pytest.raises(Undecided, match="which column holds the labels") as error:
        ingest(tmp_path / "both.parquet")
    assert "--label-column fine" in question(error)
    assert ingest(tmp_path / "both.parquet", parse({"label_column": "fine"})).classes == ("0", "1")


def test_copies_never_stand_on_both_sides(tmp_path: Path) -> None:
    folders(tmp_path, *[f"{s}/{c}" for s in ("train", "test") for c in ("cats", "dogs")], n=20)
    for twin in list((tmp_path / "test").rglob("*_00[0-4].png")):
        (tmp_path / "train" / twin.parent.name / f"copy_{twin.name}").write_bytes(twin.read_bytes())
    found = ingest(tmp_path)
    trained = {i.tobytes() for i in found.images[found.split != 2]}
    assert not trained & {i.tobytes() for i in found.images[found.split == 2]}
    assert sum(counts(found)) == 80
    reasons = {one["reason"]: one["n"] for one in found.report["set_aside"]}
    assert reasons["copy of a picture in another part"] == 10


def test_a_test_part_that_is_the_training_part_is_asked_about(tmp_path: Path) -> None:
    folders(tmp_path, "train/cats", "train/dogs", n=20)
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
    folders(tmp_path, "cats", "dogs", n=30)
    for one in list(tmp_path.rglob("*_00?.png")):
        for i in range(3):
            (one.parent / f"again{i}_{one.name}").write_bytes(one.read_bytes())
    found = ingest(tmp_path)
    parts = [{i.tobytes() for i in found.images[found.split == part]} for part in range(3)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert any("copies of others" in note for note in found.report["notes"])


def test_what_systems_leave_behind_is_no_data(tmp_path: Path) -> None:
    folders(tmp_path, "cats", "dogs", ".ipynb_checkpoints", "__MACOSX/cats")
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
    folders(tmp_path, "cats", "dogs", n=100)
    (tmp_path / "cats" / "0_003.png").write_bytes(b"\x89PNG nothing")
    whole = (tmp_path / "dogs" / "1_007.png").read_bytes()
    (tmp_path / "dogs" / "1_008.png").write_bytes(b"no picture at all")
    with pytest.raises(Undecided, match=r"2 of 200 .*cats/0_003.png.*dogs/1_008.png") as error:
        ingest(tmp_path)
    assert "--allow-unreadable 1%" in question(error)
    assert len(ingest(tmp_path, parse({"allow_unreadable": "1%"})).labels) == 198
    (tmp_path / "dogs" / "1_007.png").write_bytes(whole[: len(whole) // 2])  # its header is fine
    with pytest.raises(Undecided, match=r"1_007\.png"):
        ingest(tmp_path, parse({"allow_unreadable": "1%"}))


def test_names_in_any_encoding_are_read(tmp_path: Path) -> None:
    folders(tmp_path, "cats", "dogs")
    composed, apart = "caf\u00e9", "cafe\u0301"
    folders(tmp_path / "more", composed)
    (tmp_path / "more" / composed).rename(tmp_path / composed)
    folders(tmp_path / "more", "x", apart)
    (tmp_path / "more" / apart).rename(tmp_path / apart)
    latin = Path(os.fsdecode(os.fsencode(tmp_path / "cats") + b"/caf\xe9.png"))
    with latin.open("wb") as stream:
        noise(77).save(stream, "PNG")
    (tmp_path / "more").rename(tmp_path.parent / "more")
    found = ingest(tmp_path)
    assert set(found.classes) == {composed, "cats", "dogs"}
    assert len(found.labels) == 12 * 4 + 1


def test_archives_of_any_system_are_unpacked(tmp_path: Path) -> None:
    folders(tmp_path / "pets", "cats", "dogs")
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
    folders(tmp_path, "cats", "dogs")
    _hugging_face(tmp_path / "a.parquet", ["cat", "dog"], 500)
    with pytest.raises(Undecided) as error:
        ingest(tmp_path)
    assert set(question(error)) == {"--layout folders", "--layout parquet"}
    assert ingest(tmp_path, parse({"layout": "folders"})).classes == ("cats", "dogs")
    assert ingest(tmp_path, parse({"layout": "parquet"})).classes == ("cat", "dog")


def test_a_class_in_one_part_alone_is_asked_about(tmp_path: Path) -> None:
    folders(tmp_path, "train/cats", "train/dogs", "test/cats", "test/dogs", "test/fish", n=20)
    with pytest.raises(Undecided, match="'fish' in train") as error:
        ingest(tmp_path)
    assert "--split draw" in question(error)
    assert ingest(tmp_path, parse({"split": "draw"})).classes == ("cats", "dogs", "fish")


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
    assert counts(found)[2] == 18
    split = np.array(["train"] * 36 + ["val"] * 12 + ["test"] * 12)
    np.savez(tmp_path / "b.npz", x=X, y=Y, split=split)
    assert counts(ingest(tmp_path / "b.npz")) == [36, 12, 12]
    np.savez(tmp_path / "c.npz", x=X, y=Y, split=np.repeat([0, 1], [45, 15]))
    with pytest.raises(Undecided, match="part '0'"):
        ingest(tmp_path / "c.npz")
    found = ingest(tmp_path / "c.npz", parse({"split": "0=train,1=test"}))
    assert counts(found)[2] == 15


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
        noise(i).save(stream, "PNG")
        pictures.append({"bytes": stream.getvalue(), "path": f"{i}.png"})
    labels = pa.array(["cat", "dog"] * 30).dictionary_encode()
    table = {"image": pictures, "label": labels, "split": [i % 3 for i in range(60)]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    answers = parse({"split": "0=train,1=validation,2=test"})
    found = ingest(tmp_path / "a.parquet", answers)
    assert (found.classes, counts(found)) == (("cat", "dog"), [20, 20, 20])


def test_unequal_classes_are_told(tmp_path: Path) -> None:
    folders(tmp_path, "rare", n=10)
    folders(tmp_path / "x", "a", "common", n=120)
    (tmp_path / "x" / "common").rename(tmp_path / "common")
    for file in (tmp_path / "x").rglob("*.png"):
        file.unlink()
    report = inspect(tmp_path).report
    assert any("120 pictures of 'common', 10 of 'rare'" in note for note in report.notes)


def test_a_link_in_an_archive_is_refused_by_name(tmp_path: Path) -> None:
    folders(tmp_path / "pets", "cats", "dogs")
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


def test_an_answer_about_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    folders(tmp_path, "cats", "dogs", "fish")
    with pytest.raises(InvalidData, match="no folder is called 'fihs'; there are cats, dogs, fish"):
        ingest(tmp_path, parse({"split": "fihs=ignore"}))
