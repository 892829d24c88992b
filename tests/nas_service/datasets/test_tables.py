"""Tables of paths and labels beside pictures: which picture a row names, its group, its part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas_service.datasets.answers import parse
from nas_service.datasets.ingest import ingest
from nas_service.datasets.report import Undecided
from nas_service.errors import InvalidData
from tests.folders_of_pictures import counts, folders, noise


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])  # as spreadsheet programs save it
def test_a_table_of_paths_and_labels_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "img").mkdir()
    rows = ["file;species;split;patient"]
    for i in range(60):
        noise(i).save(tmp_path / "img" / f"{i}.png")
        part = "train" if i < 40 else "test"
        rows.append(f"img/{i}.png;{'cat' if i % 2 else 'dog'};{part};p{i // 4}")
    rows.append("img/missing.png;cat;train;p1")
    (tmp_path / "labels.csv").write_text("\r\n".join(rows), encoding=encoding)
    with pytest.raises(Undecided, match="which column holds the labels"):
        ingest(tmp_path)
    found = ingest(tmp_path, parse({"label_column": "species"}))
    assert found.classes == ("cat", "dog")
    assert counts(found)[2] == 20
    aside = {one["reason"]: one["names"] for one in found.report["set_aside"]}
    assert aside["in labels.csv, but not here"] == ["img/missing.png"]
    assert "pictures of one patient stay on one side where parts are drawn" in found.report["notes"]


def _patients(folder: Path) -> dict[int, set[int]]:
    """The parts in which each patient's six pictures are, after an import of 60."""
    found = ingest(folder)
    given = {np.asarray(noise(i)).tobytes(): i for i in range(60)}
    where: dict[int, set[int]] = {}
    for image, part in zip(found.images, found.split.tolist(), strict=True):
        where.setdefault(given[image.tobytes()] // 6, set()).add(part)
    return where


_COMPOSED, _APART = "caf\N{LATIN SMALL LETTER E WITH ACUTE}{}", "cafe\N{COMBINING ACUTE ACCENT}{}"


@pytest.mark.parametrize("odd", [f"{_COMPOSED} ", _APART])
def test_a_group_is_the_same_however_it_is_written(tmp_path: Path, odd: str) -> None:
    rows = ["path,label,patient"]
    for i in range(60):
        noise(i).save(tmp_path / f"{i}.png")
        patient = (odd if i % 3 == 0 else _COMPOSED).format(i // 6)
        rows.append(f"{i}.png,{'ab'[i % 2]},{patient}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert all(len(parts) == 1 for parts in _patients(tmp_path).values())


def test_pictures_without_a_group_are_on_no_one_side(tmp_path: Path) -> None:
    rows = ["path,label,patient"]
    for i in range(60):
        noise(i).save(tmp_path / f"{i}.png")
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
            noise(i + 100 * number).save(above / c / f"{i}.png")
            rows.append(f"{cell.format(c=c, i=i)},{c},{'train' if i < 15 else 'test'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert counts(ingest(tmp_path, parse({"layout": "table"})))[2] == 30


def test_a_table_whose_paths_lead_nowhere_is_told_of(tmp_path: Path) -> None:
    folders(tmp_path, "apple", "pear", n=30)
    rows = ["path,label,split", *(f"img{i},apple,test" for i in range(30))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (note,) = [one for one in ingest(tmp_path).report["notes"] if "labels.csv" in one]
    assert "is not read, neither its labels nor its parts" in note
    assert "as 'img0' in column 'path'" in note


def test_a_picture_is_found_by_its_path_whatever_others_are_called(tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    rows = ["path,label"]
    for i in range(24):
        noise(i).save(tmp_path / f"{i}.png")
        if i < 4:
            noise(100 + i).save(tmp_path / "extra" / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = ingest(tmp_path, parse({"layout": "table"}))
    stored = {one.tobytes() for one in found.images}
    assert stored == {np.asarray(noise(i)).tobytes() for i in range(24)}


def test_labels_that_sound_like_names_of_pictures_are_none(tmp_path: Path) -> None:
    rows = ["class,number"]
    for part, shift in (("train", 0), ("test", 100)):
        (tmp_path / part).mkdir()
        for i in range(30):
            noise(i + shift).save(tmp_path / part / f"{i}.png")
            rows += [f"{i % 3},{i}"] if part == "train" else []
    (tmp_path / "train" / "labels.csv").write_text("\n".join(rows))
    assert ingest(tmp_path, parse({"layout": "table"})).classes == ("0", "1", "2")


def test_an_empty_cell_names_no_picture(tmp_path: Path) -> None:
    (tmp_path / "cover").mkdir()
    rows = [",path,label"]
    for i in range(24):
        name = f"{i}.png" if i else "cover.png"
        noise(i).save(tmp_path / "cover" / name)
        rows.append(f"{i},{name},{'ab'[i % 2]}")
    (tmp_path / "cover" / "labels.csv").write_text("\n".join(rows))
    assert len(ingest(tmp_path, parse({"layout": "table"})).images) == 24


def test_long_cells_and_deep_folders_take_no_more_than_others(tmp_path: Path) -> None:
    """Of a path of a megabyte every end was tried, of a deep picture every end was kept."""
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    rows = ["path,label", *("/a" * 40_000 + f"/{i}.png,x" for i in range(30))]
    for i in range(24):
        noise(i).save(deep / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows[:1] + rows[31:] + rows[1:11]))
    found = ingest(tmp_path, parse({"layout": "table"}))
    assert len(found.images) == 24


def test_pictures_that_no_row_describes_are_told(tmp_path: Path) -> None:
    for i in range(40):
        noise(i).save(tmp_path / f"{i}.png")
    rows = ["path,label", *(f"{i}.png,{'cat' if i % 2 else 'dog'}" for i in range(30))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "sample.csv").write_text("name,guess\nx,u\ny,v")
    found = ingest(tmp_path)
    assert len(found.labels) == 30
    aside = {one["reason"]: one for one in found.report["set_aside"]}
    assert aside["picture that nothing describes"]["n"] == 10
    assert aside["no picture (.csv)"]["names"] == ["sample.csv"]


def test_a_second_table_of_the_same_pictures_is_asked_about(tmp_path: Path) -> None:
    """A sample of what to hand in names pictures and labels like any other table."""
    for i in range(60):
        noise(i).save(tmp_path / f"{i}.png")
    rows = ["id,label", *(f"{i},{'cat' if i % 2 else 'dog'}" for i in range(40))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    handed_in = ["id,label", *(f"{i},cat" for i in range(40, 60))]
    (tmp_path / "sample_submission.csv").write_text("\n".join(handed_in))
    with pytest.raises(Undecided, match="one of 2 tables of these pictures"):
        ingest(tmp_path)
    answer = parse({"split": "sample_submission=ignore,labels=train"})
    assert len(ingest(tmp_path, answer).labels) == 40


PARTS = np.repeat(["train", "validation", "test"], [36, 12, 12])


@pytest.mark.parametrize("name", ["PatientID", "VIDEO", "VIDEO_ID", "Subject id", "session-id"])
def test_groups_that_stand_in_several_given_parts_are_told(tmp_path: Path, name: str) -> None:
    rows = [f"path,label,split,{name}"]
    for i in range(60):
        noise(i).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]},{PARTS[i]},p{i % 8}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    notes = ingest(tmp_path).report["notes"]
    assert any(one.startswith("8 groups stand in more than one of the parts") for one in notes)
    assert any(f"one {name} stay on one side" in one for one in notes)


def test_a_row_that_is_too_short_is_named(tmp_path: Path) -> None:
    rows = ["label,path", *(f"{'ab'[i % 2]},{i}.png" for i in range(40)), "a"]
    for i in range(40):
        noise(i).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    with pytest.raises(InvalidData, match=r"labels\.csv row 42: 1 cells, the header has 2"):
        ingest(tmp_path)


@pytest.mark.parametrize("rooted", [True, False])
def test_parts_are_those_of_folders_where_the_table_names_none(
    tmp_path: Path, rooted: bool
) -> None:
    rows = ["filename,label,weight"]
    for i in range(60):
        place = tmp_path / PARTS[i] / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        noise(i).save(place)
        rows.append(f"{PARTS[i]}/{i}.png,{'ab'[i % 2]},1" if rooted else f"{i}.png,{'ab'[i % 2]},1")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = ingest(tmp_path)
    assert counts(found) == [36, 12, 12]
    tested = {one.tobytes() for one in found.images[found.split == 2]}
    assert tested == {np.asarray(noise(i)).tobytes() for i in range(48, 60)}
    assert (
        "labels.csv names no parts: they are those of the pictures' folders"
        in (found.report["notes"])
    )
    assert "labels.csv: columns that are not read: weight" in found.report["notes"]
    drawn = ingest(tmp_path, parse({"split": "draw"}))
    assert {one.tobytes() for one in drawn.images[drawn.split == 2]} != tested


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("Usage", ("Training", "Validation", "Test")),
        ("data set", ("train", "val", "test")),
        ("phase", ("trn", "dev", "tst")),
    ],
)
def test_a_column_in_which_every_row_names_a_part_is_that_of_parts(
    tmp_path: Path, name: str, names: tuple[str, str, str]
) -> None:
    rows = [f"path,label,{name}"]
    for i in range(60):
        noise(i).save(tmp_path / f"{i}.png")
        part = names[("train", "validation", "test").index(PARTS[i])]
        rows.append(f"{i}.png,{'ab'[i % 2]},{part}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = ingest(tmp_path)
    assert counts(found) == [36, 12, 12]
    assert f"labels.csv: column {name} names the parts" in found.report["notes"]
