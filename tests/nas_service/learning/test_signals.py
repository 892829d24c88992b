"""Reading signals: what is understood, what is refused and where, and which side windows are on."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.registry import learning_task
from nas_service.learning.signals.answers import parse
from nas_service.learning.signals.ingested import Signals, read
from nas_service.templates.preprocess_signal import Preprocessing
from tests.contracts.test_signals import save_waves

CLASSES = "signal_classification"


def _read(source: Path, *, numbers: bool = False, **answers: Any) -> Signals:
    found = parse(answers)
    return read(source, found, numbers=numbers, tell=lambda *_: None, within=[source.parent])


def _arrays(path: Path, **arrays: Any) -> Path:
    given = {"x": np.ones((20, 2, 16)), "y": np.arange(20) % 2, **arrays}
    np.savez(path, **{name: one for name, one in given.items() if one is not None})
    return path


def _walk(
    n: int, *, hz: float = 50.0, label: str = "walk", start: float = 0.0
) -> list[tuple[float, float, str]]:
    return [(start + i / hz, float(np.sin(i)), label) for i in range(n)]


def _csv(path: Path, rows: list[tuple[Any, ...]], head: str = "time,ax,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (",".join("" if one is None else str(one) for one in row) for row in rows)
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def _recordings(folder: Path, n: int = 10) -> Path:
    """So many recordings of 100 moments, of two classes in turn."""
    for number in range(n):
        label = ("walk", "run")[number % 2]
        _csv(folder / f"subject{number}.csv", _walk(100, label=label))
    return folder


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": None}, "no array y"),
        ({"x": np.ones((20, 2, 3, 4))}, r"x is \(20, 2, 3, 4\)"),
        ({"x": np.full((20, 2, 16), "a")}, "numbers are needed"),
        ({"x": np.ones((20, 2, 4))}, "windows of 4 steps"),
        ({"y": np.arange(19)}, r"y is \(19,\), x has 20 windows"),
        ({"y": np.zeros(20)}, "every window is"),
        ({"y": np.linspace(0, 1, 20)}, "is it regression"),
        ({"y": np.where(np.arange(20) < 10, np.nan, 1.0)}, "empty in 10 of 20 windows, first in w"),
        ({"groups": np.arange(3)}, "groups is"),
        ({"groups": np.zeros(20)}, "1 groups: at least 5"),
        ({"split": np.array(["train"] * 19 + ["trian"])}, "'trian' in window 19"),
        ({"split": np.array(["train"] * 19 + ["test"])}, "windows are for"),
        ({"channel_names": np.array(["a"])}, "1 names for 2 channels"),
        ({"channel_names": np.array("ab")}, r"channel_names is \(\)"),
        ({"y": np.where(np.arange(20) % 2, 1e300, 2.0)}, r"y\[1\] is 1e\+300: no class's number"),
        ({"y": np.arange(20) % 2 + 1j}, "y has complex128; classes are numbers or texts"),
        ({"y": np.array(["a", " "] * 10)}, r"y\[1\] is empty"),
        ({"groups": np.where(np.arange(20) == 3, np.nan, 1.0)}, r"groups\[3\] is not a number"),
        ({"rate_hz": np.array(np.inf)}, "rate_hz is inf"),
    ],
)
def test_arrays_that_cannot_be_are_named(tmp_path: Path, arrays: Any, said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        _read(_arrays(tmp_path / "a.npz", **arrays))


def test_what_is_no_number_is_named_by_its_place(tmp_path: Path) -> None:
    x = np.ones((20, 2, 16))
    x[3, 1, 7] = np.nan
    x[5, 0, 2] = np.inf
    with pytest.raises(InvalidData, match=r"x\[3, 1, 7\] is not a number, as are 1 others"):
        _read(_arrays(tmp_path / "a.npz", x=x))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="cannot be read"):
        _read(_arrays(tmp_path / "a.npz", y=np.array([{}] * 20, dtype=object)))


def test_windows_of_a_group_stay_on_one_side(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 5)
    found = _read(
        _arrays(
            tmp_path / "a.npz",
            x=generator.normal(size=(60, 1, 16)),
            y=np.arange(60) % 2,
            groups=groups,
        )
    )
    for group in range(12):
        assert len(set(found.windows.part[groups == group])) == 1
    assert set(found.windows.part) == {0, 1, 2}


def test_parts_that_are_given_are_kept_and_validation_is_drawn_of_training(tmp_path: Path) -> None:
    split = np.array(["train"] * 40 + ["test"] * 20)
    x = np.random.default_rng(0).normal(size=(60, 1, 16))
    path = _arrays(tmp_path / "a.npz", x=x, y=np.arange(60) % 2, split=split)
    found = _read(path)
    assert (found.windows.part[40:] == 2).all()
    assert np.bincount(found.windows.part).tolist() == [32, 8, 20]
    again = _read(path, split="draw")
    assert (again.windows.part[40:] != 2).any()
    assert _read(path).digest == found.digest


def test_numbers_are_drawn_so_that_parts_are_alike(tmp_path: Path) -> None:
    found = _read(save_waves(tmp_path / "a.npz", 200, numbers=True), numbers=True)
    parts = [found.targets[found.windows.part == part] for part in range(3)]
    assert [len(one) for one in parts] == [120, 40, 40]
    assert all(abs(float(one.mean())) < 0.1 for one in parts)
    with pytest.raises(InvalidData, match="the same in every window"):
        _read(_arrays(tmp_path / "b.npz", y=np.ones(20)), numbers=True)
    for wrong in (np.array(["a", "b"] * 10), np.arange(20) + 1j):
        with pytest.raises(InvalidData, match="regression needs numbers"):
            _read(_arrays(tmp_path / "c.npz", y=wrong), numbers=True)


@pytest.mark.parametrize(
    ("scale", "offset"), [(1.0, 0.0), (20.0, 75.0), (1e-9, 0.0), (1e3, -1e6), (1.0, 1.7e9)]
)
def test_numbers_are_learned_in_standard_deviations_whatever_their_unit(
    tmp_path: Path, scale: float, offset: float
) -> None:
    y = offset + scale * np.arange(100.0)
    x = np.random.default_rng(0).normal(size=(100, 2, 16))
    found = _read(_arrays(tmp_path / "a.npz", x=x, y=y), numbers=True)
    trained = np.arange(100.0)[found.windows.part == 0]
    expected = (np.arange(100.0) - trained.mean()) / trained.std()
    assert np.allclose(found.targets[:, 0], expected, atol=1e-5)
    facts = found.facts()
    assert facts["target_mean"] == pytest.approx(offset + scale * trained.mean())
    assert facts["target_std"] == pytest.approx(scale * trained.std())
    task = learning_task("signal_regression")
    told = task.details(task.judge(found.targets + 0.5, found.targets), facts)["regression"]
    assert told["mean_error"] == pytest.approx(0.5 * scale * trained.std(), rel=1e-4)


def test_a_part_in_which_all_numbers_are_the_same_is_refused(tmp_path: Path) -> None:
    split = np.array(["train", "validation", "test"]).repeat(20)
    y = np.where(split == "test", 0.1, np.arange(60.0))
    x = np.random.default_rng(0).normal(size=(60, 2, 16))
    with pytest.raises(InvalidData, match=r"y is 0\.1 in every window for test"):
        _read(_arrays(tmp_path / "a.npz", x=x, y=y, split=split), numbers=True)


def test_recordings_are_cut_into_windows(tmp_path: Path) -> None:
    found = _read(_recordings(tmp_path / "data"), window=40, hop=20)
    # 100 moments give windows from 0, 20, 40 and 60
    assert found.windows.inputs.shape == (40, 1, 40)
    assert found.windows.rate_hz == pytest.approx(50.0)
    assert found.classes == ("run", "walk")
    assert found.windows.inputs[1, 0] == pytest.approx(np.sin(np.arange(20, 60)), abs=1e-6)
    for number in range(10):
        assert len(set(found.windows.part[4 * number : 4 * number + 4])) == 1
    assert found.facts()["channel_names"] == ["ax"]


def _axes(folder: Path, *, label: str = "activity", n: int = 10) -> Path:
    """Accelerometer axes, and a subject who is met in two files."""
    head = f"time,x,y,z,{label},subject,place"
    for number in range(n):
        name = ("walk", "run")[number % 2]
        rows = [(i / 50, np.sin(i), 1.0, np.cos(i), name, number // 2, "lab") for i in range(80)]
        _csv(folder / f"r{number}.csv", rows, head=head)
    return folder


def test_an_axis_is_no_label_and_a_subject_no_channel(tmp_path: Path) -> None:
    found = _read(_axes(tmp_path / "data"), window=40)
    assert found.classes == ("run", "walk")
    assert found.windows.channel_names == ("x", "y", "z")
    notes = " ".join(found.report["notes"])
    assert "columns that are not read: place" in notes
    assert "never change: y" in notes


def test_a_subject_in_two_files_stays_on_one_side(tmp_path: Path) -> None:
    found = _read(_axes(tmp_path / "data"), window=40)
    assert found.windows.groups is not None
    assert sorted(set(found.windows.groups.tolist())) == [0, 1, 2, 3, 4]
    for group in range(5):  # two windows each of two files
        parts = found.windows.part[found.windows.groups == group]
        assert (len(parts), len(set(parts.tolist()))) == (4, 1)


def test_a_time_that_is_lacking_anywhere_is_named(tmp_path: Path) -> None:
    """One empty cell would make the usual step no number, and every check of time pass."""
    rows: list[tuple[Any, ...]] = list(_walk(100))
    rows[5] = (None, *rows[5][1:])
    path = _csv(tmp_path / "gap.csv", rows)
    with pytest.raises(InvalidData, match=r"gap\.csv: column 'time' is empty in 1 of 100 rows"):
        _read(path, window=20)
    seconds = pa.array([one if n != 7 else np.nan for n, (one, _, _) in enumerate(_walk(100))])
    table = pa.table({"time": seconds, "ax": np.ones(100), "label": ["a", "b"] * 50})
    parquet.write_table(table, tmp_path / "nan.parquet")
    with pytest.raises(InvalidData, match=r"nan\.parquet, row 8, column 'time' is not a number"):
        _read(tmp_path / "nan.parquet", window=20)


def _column(path: Path, name: str, values: Any) -> Path:
    """A table in which one column is of these values."""
    columns = {
        "ax": np.sin(np.arange(100.0)),
        "label": ["a" if n // 10 % 2 else "b" for n in range(100)],
        "subject": [n // 10 for n in range(100)],
    }
    parquet.write_table(pa.table({**columns, name: values}), path)
    return path


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("label", [[1], [1, 2]] * 50, "column 'label' is list"),
        ("label", [{"a": 1}, {"a": 2}] * 50, "column 'label' is struct"),
        ("time", pa.array([253402300799000000] * 100, pa.timestamp("us")), "beyond the years"),
        ("time", 50 * 10**12 + np.arange(100), "5e[+]13, no time since 1970 .* as time_ns"),
        ("az", ["0,5"] * 100, "row 1, column 'az' is '0,5'; other rows have numbers"),
        ("az", ["1.5"] * 30 + ["err"] + ["2"] * 69, "row 31, column 'az' is 'err'"),
    ],
)
def test_a_column_that_cannot_be_is_named(
    tmp_path: Path, name: str, values: Any, said: str
) -> None:
    with pytest.raises(InvalidData, match=said):
        _read(_column(tmp_path / "a.parquet", name, values), window=8, hop=2)


_START_S = 1_700_000_000


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("time", np.arange(100) * 0.02),
        ("time", _START_S + np.arange(100) * 0.02),
        ("timestamp", 10**3 * _START_S + 20 * np.arange(100)),
        ("timestamp", 10**6 * _START_S + 20_000 * np.arange(100)),
        ("timestamp", 10**9 * _START_S + 20_000_000 * np.arange(100)),
        ("timestamp", (10**9 * _START_S + 20_000_000 * np.arange(100)).astype(np.uint64)),
        ("time_ms", 20 * np.arange(100)),
        ("timestamp_us", 20_000.0 * np.arange(100)),
        ("t_ns", 20_000_000 * np.arange(100)),
    ],
)
def test_times_are_read_in_the_unit_that_their_name_or_their_size_tells(
    tmp_path: Path, name: str, steps: Any
) -> None:
    table = _column(tmp_path / "a.parquet", name, steps)
    found = _read(table, window=8, hop=2, group_column="subject")
    assert found.windows.rate_hz == pytest.approx(50.0)
    assert found.windows.channel_names == ("ax",)


@pytest.mark.parametrize(
    "kind", [pa.duration("ms"), pa.time32("ms"), pa.timestamp("ms"), pa.string(), "with zone"]
)
def test_times_of_any_type_are_read(tmp_path: Path, kind: Any) -> None:
    stamps = pa.array(20 * np.arange(100), pa.int64()).cast(pa.timestamp("ms"))
    if isinstance(kind, str):
        steps = pa.array([f"{one}+02:00" for one in stamps.cast(pa.string()).to_pylist()])
    elif pa.types.is_string(kind) or pa.types.is_timestamp(kind):
        steps = stamps.cast(kind)
    else:
        steps = pa.array(20 * np.arange(100, dtype=np.int32)).cast(pa.int64())
        steps = steps.cast(pa.int32()).cast(kind) if kind == pa.time32("ms") else steps.cast(kind)
    found = _read(_column(tmp_path / "a.parquet", "time", steps), window=8, group_column="subject")
    assert found.windows.rate_hz == pytest.approx(50.0)


def test_a_column_of_days_is_one_of_times(tmp_path: Path) -> None:
    days = np.datetime_as_string(np.datetime64("2020-01-01") + np.arange(100))
    found = _read(_column(tmp_path / "a.parquet", "date", days), window=8, group_column="subject")
    assert found.windows.rate_hz == pytest.approx(1 / 86_400, rel=1e-5)


@pytest.mark.parametrize("name", ["Time (s)", "time [s]", "seconds", "Elapsed", "date time"])
def test_times_are_found_under_the_names_that_people_give_them(tmp_path: Path, name: str) -> None:
    table = _column(tmp_path / "a.parquet", name, np.arange(100) * 0.02)
    found = _read(table, window=8, hop=2, group_column="subject")
    assert (found.windows.channel_names, found.windows.rate_hz) == (("ax",), pytest.approx(50.0))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "sample_nr"])
def test_a_column_that_counts_rows_is_no_channel(tmp_path: Path, name: str) -> None:
    """It would tell a network the order of the rows, and so the label."""
    found = _read(_column(tmp_path / "a.parquet", name, np.arange(100) + 7), window=8, hop=2)
    assert found.windows.channel_names == ("ax",)
    assert "columns that are not read: " + name in " ".join(found.report["notes"])


def test_labels_and_groups_are_the_same_however_they_are_written(tmp_path: Path) -> None:
    """Blanks, accents apart, whole numbers with a point, and what else one file alone has."""
    composed, apart = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT} "
    written = [(composed, "01"), (apart, "01 "), ("null", "A2"), (" null", "A2"), (composed, "3")]
    written += [(apart, "3.0"), ("null", "4"), ("null", "5")]
    for number, (label, subject) in enumerate(written):
        rows = [(i, float(np.sin(i)), label, subject) for i in range(100)]
        _csv(tmp_path / "data" / f"{number}.csv", rows, head="time,ax, label,subject")
    found = _read(tmp_path / "data", window=20, hop=20)
    assert found.classes == (composed, "null")
    assert len(set(found.windows.groups.tolist())) == 5  # 01, A2, 3, 4 and 5


def test_numbers_of_classes_are_the_same_in_every_file(tmp_path: Path) -> None:
    for number, label in enumerate(["0", "1.0", "0.0", "1", "00"]):
        rows = [(i, float(np.sin(i + number)), label) for i in range(100)]
        _csv(tmp_path / "data" / f"{number}.csv", rows)
    assert _read(tmp_path / "data", window=20, hop=20).classes == ("0", "1")


def test_a_table_in_another_encoding_is_read(tmp_path: Path) -> None:
    for file in _recordings(tmp_path / "data").iterdir():
        head, *rows = file.read_text().replace("walk", "mar\xe9").splitlines()
        lines = [f"{head},note", *(f"{row},caf\xe9" for row in rows)]
        file.write_text("\n".join(lines), encoding="latin-1")
    assert _read(tmp_path / "data", window=40).classes == ("mar\xe9", "run")


@pytest.mark.parametrize("nothing", ["nan", "NULL", "NA", "NaN"])
def test_numbers_of_classes_that_are_lacking_are_no_class(tmp_path: Path, nothing: str) -> None:
    for number in range(6):
        label = nothing if number == 5 else f"{number % 2}.0"
        _csv(tmp_path / "data" / f"{number}.csv", _walk(40, label=label))
    with pytest.raises(InvalidData, match="y is empty in 2 of 12 windows, first in window 10"):
        _read(tmp_path / "data", window=20)
    if nothing != "NaN":
        return
    for number in range(5):  # among texts it is no class either
        _csv(tmp_path / "data" / f"{number}.csv", _walk(40, label="ab"[number % 2]))
    with pytest.raises(InvalidData, match="y has 'NaN' in 2 windows: no class"):
        _read(tmp_path / "data", window=20)


def test_labels_in_exponents_are_numbers(tmp_path: Path) -> None:
    for number in range(6):
        _csv(tmp_path / "data" / f"{number}.csv", _walk(40, label=f"{number % 2:.18e}"))
    assert _read(tmp_path / "data", window=20).classes == ("0", "1")
    for number in range(6):
        _csv(tmp_path / "data" / f"{number}.csv", _walk(40, label=f"{0.1 + number:.3e}"))
    with pytest.raises(InvalidData, match="is it regression"):
        _read(tmp_path / "data", window=20)


def test_what_counts_in_some_recordings_alone_is_a_channel(tmp_path: Path) -> None:
    for number in range(6):
        rows = [(i / 50, i * (1 + number % 2), i, np.sin(i), "ab"[number % 2]) for i in range(40)]
        _csv(tmp_path / "data" / f"{number}.csv", rows, head="time,way,row,x,label")
    assert _read(tmp_path / "data", window=20).windows.channel_names == ("way", "x")


@pytest.mark.parametrize("other", ["elapsed", "seconds", "T\N{DEGREE SIGN}"])
def test_of_what_may_be_times_the_usual_name_counts(tmp_path: Path, other: str) -> None:
    for number in range(6):
        rows = [(i / 50, np.cos(i), np.sin(i), "ab"[number % 2]) for i in range(40)]
        _csv(tmp_path / "data" / f"{number}.csv", rows, head=f"time,{other},x,label")
    found = _read(tmp_path / "data", window=20)
    assert (found.windows.channel_names, found.windows.rate_hz) == ((other, "x"), 50.0)


def test_labels_of_one_1_among_0s_are_classes_and_no_numbers(tmp_path: Path) -> None:
    hot = np.eye(3)[np.arange(60) % 3]
    x = np.random.default_rng(0).normal(size=(60, 2, 16))
    found = _read(_arrays(tmp_path / "a.npz", x=x, y=hot))
    assert found.classes == ("0", "1", "2")
    assert found.targets.tolist() == (np.arange(60) % 3).tolist()
    with pytest.raises(InvalidData, match=r"y is \(60, 3\)"):
        _read(_arrays(tmp_path / "a.npz", x=x, y=hot), numbers=True)
    hot[7] = 0.5, 0.5, 0.0
    with pytest.raises(InvalidData, match="window 7 is not one 1 among 0s"):
        _read(_arrays(tmp_path / "a.npz", x=x, y=hot))


def test_arrays_of_bytes_are_texts(tmp_path: Path) -> None:
    made = _arrays(
        tmp_path / "a.npz",
        y=np.array([b"walk", b"run ", b"run", b"walk"] * 5),
        groups=np.array([b"a", b"b", b"c ", b"c", b"d"] * 4),
        split=np.array([b"train", b"train", b"train", b"val", b"testing"] * 4),
        channel_names=np.array([b"ax", b"ay"]),
    )
    found = _read(made)
    assert (found.classes, found.windows.channel_names) == (("run", "walk"), ("ax", "ay"))
    assert np.bincount(found.windows.part).tolist() == [12, 4, 4]
    assert len(set(found.windows.groups.tolist())) == 4


@pytest.mark.parametrize(
    ("scale", "offset"), [(1.0, 0.0), (1e-13, 0.0), (1e-9, 1e-9), (1e12, 1e12)]
)
def test_signals_of_any_scale_are_as_large_to_a_network(
    tmp_path: Path, scale: float, offset: float
) -> None:
    """Those of the brain are of femtoteslas; a channel that never changes is nought."""
    x = np.random.default_rng(0).standard_normal((60, 2, 16))
    x[:, 1] = 0.1
    _read(_arrays(tmp_path / "a.npz", x=x * scale + offset, y=np.arange(60) % 3)).save(
        tmp_path / "stored.npz"
    )
    data = learning_task("signal_classification").load(
        tmp_path / "stored.npz", max_train=None, device="cpu"
    )
    prepared = data.prepared(data.train.inputs, 16).double()
    assert float(prepared[:, 0].std()) == pytest.approx(1.0, abs=0.01)
    assert float(prepared[:, 1].abs().max()) < 0.01


def test_a_table_as_spreadsheet_programs_save_it_is_read(tmp_path: Path) -> None:
    for file in _recordings(tmp_path / "data").iterdir():
        file.write_text(file.read_text(), encoding="utf-16")
    found = _read(tmp_path / "data", window=40, hop=20)
    assert (found.windows.inputs.shape, found.classes) == ((40, 1, 40), ("run", "walk"))
    cut = tmp_path / "data" / "subject0.csv"
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(InvalidData, match=r"subject0\.csv cannot be read: .*utf-16"):
        _read(tmp_path / "data", window=40, hop=20)


def test_decimals_are_numbers_and_words_are_not(tmp_path: Path) -> None:
    exact = pa.array([Decimal(n) / 4 for n in range(100)], pa.decimal128(10, 2))
    found = _read(_column(tmp_path / "a.parquet", "az", exact), window=8, hop=2)
    assert found.windows.channel_names == ("ax", "az")
    classes = pa.array([Decimal(n // 10 % 2) for n in range(100)], pa.decimal128(10, 2))
    assert _read(_column(tmp_path / "c.parquet", "label", classes), window=8).classes == ("0", "1")
    words = ["left", "right", "3", None] * 25
    found = _read(_column(tmp_path / "b.parquet", "foot", words), window=8, hop=2)
    assert found.windows.channel_names == ("ax",)
    assert "columns that are not read: foot" in " ".join(found.report["notes"])


def test_of_two_columns_of_a_name_none_is_chosen(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", [(0, 1, 2, "a")] * 40, head="time,ax,ax,label")
    with pytest.raises(InvalidData, match=r"a\.csv has 2 columns 'ax'"):
        _read(path, window=8)


def test_labels_that_never_last_for_a_window_are_told_of(tmp_path: Path) -> None:
    rows = [(n / 50, 1.0, ("walk", "run")[n % 2]) for n in range(100)]
    with pytest.raises(InvalidData, match=r"no window of 20 .* 5 windows in which"):
        _read(_csv(tmp_path / "a.csv", rows), window=20)


def test_columns_that_may_both_be_meant_are_asked_about(tmp_path: Path) -> None:
    rows = [(i / 50, 1.0, "a", "b") for i in range(60)]
    for name, head in (("label", "time,ax,label,class"), ("time", "time,timestamp,label,ax")):
        file = _csv(tmp_path / f"{name}.csv", rows, head=head)
        with pytest.raises(InvalidData, match=f"--{name}-column NAME"):
            _read(file, window=40)


def test_a_group_in_two_given_parts_is_told(tmp_path: Path) -> None:
    groups = np.arange(60) % 12
    split = np.array(["train"] * 36 + ["validation"] * 12 + ["test"] * 12)
    x = np.random.default_rng(0).normal(size=(60, 1, 16))
    given = {"x": x, "y": np.arange(60) % 2, "groups": groups, "split": split}
    found = _read(_arrays(tmp_path / "a.npz", **given))
    assert "12 groups stand in more than one" in " ".join(found.report["notes"])


def test_folders_that_are_named_as_parts_are_parts(tmp_path: Path) -> None:
    _recordings(tmp_path / "data" / "train", 8)
    _recordings(tmp_path / "data" / "test", 4)
    found = _read(tmp_path / "data", window=50)
    assert np.bincount(found.windows.part).tolist()[2] == 8
    assert sum(found.report["counts"]["test"].values()) == 8


def test_windows_do_not_go_over_gaps_nor_over_labels(tmp_path: Path) -> None:
    folder = _recordings(tmp_path / "data", 9)
    rows = _walk(50, label="walk") + _walk(55, label="run", start=10.0)  # a gap of nine seconds
    _csv(folder / "gap.csv", rows)
    changes = _walk(45, label="walk") + _walk(45, label="run", start=45 / 50)
    _csv(folder / "labels.csv", changes)
    found = _read(folder, window=40)
    assert len(found.windows) == 9 * 2 + 2 + 1
    assert found.report["set_aside"] == [
        {"reason": "windows in which the label changes", "n": 1, "names": []}
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (_walk(50) + _walk(50, hz=25, start=1.0), "row 52: the sampling rate changes, from 50"),
        (_walk(50) + _walk(50), "row 51: time does not go forward"),
        ([(0.02 * i, None if i == 7 else 1.0, "a") for i in range(60)], "'ax' is empty in 1 of 60"),
        (
            [(0.02 * i, 1.0, "a" if i % 2 else None) for i in range(60)],
            "empty in 30 of 60 rows, fi",
        ),
        ([(0.02 * i, "inf" if i == 4 else 1.0, "a") for i in range(60)], "row 5, column 'ax'"),
    ],
)
def test_tables_that_cannot_be_are_named_by_file_and_row(
    tmp_path: Path, rows: Any, said: str
) -> None:
    folder = _recordings(tmp_path / "data", 9)
    _csv(folder / "bad.csv", rows)
    with pytest.raises(InvalidData, match=said) as caught:
        _read(folder, window=40)
    assert "bad.csv" in str(caught.value)


def test_recordings_of_other_rates_and_columns_are_named(tmp_path: Path) -> None:
    folder = _recordings(tmp_path / "data", 9)
    other = _csv(folder / "zslow.csv", _walk(50, hz=20))
    with pytest.raises(
        InvalidData, match=r"zslow\.csv was sampled at 20 Hz, subject0\.csv at 50 Hz"
    ):
        _read(folder, window=40)
    _csv(other, [(0.02 * i, 1.0, "a") for i in range(50)], head="time,gx,label")
    with pytest.raises(InvalidData, match=r"zslow\.csv has the signals gx"):
        _read(folder, window=40)


def test_what_has_to_be_answered_is_said(tmp_path: Path) -> None:
    folder = _recordings(tmp_path / "data")
    with pytest.raises(InvalidSpec, match="--window"):
        _read(folder)
    with pytest.raises(InvalidData, match="no column 'patient'; it has time, ax, label"):
        _read(folder, window=40, group_column="patient")
    with pytest.raises(InvalidData, match="no window of 200 steps fits: the longest"):
        _read(folder, window=200)
    for name, value in (("image_size", 32), ("window", 4), ("split", "a=train")):
        with pytest.raises(InvalidSpec, match=name):
            parse({name: value})
    with pytest.raises(InvalidSpec, match="pictures are read without it"):
        learning_task("image_classification").answers({"window": 100})


def test_what_deserves_a_look_is_noted(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2, 16))
    x[:, 1] = 3.0
    x[59] = x[0]
    split = np.array(["train"] * 40 + ["validation"] * 10 + ["test"] * 10)
    y = np.array(["rare"] * 2 + ["common"] * 58)
    found = _read(_arrays(tmp_path / "a.npz", x=x, y=y, split=split, extra=np.ones(3)))
    notes = " ".join(found.report["notes"])
    for said in (
        "arrays that are not read: extra",
        "never change: channel 1",
        "unequal: 2 to 58",
        "without a window in test: rare",
        "1 windows for validation or testing are also among those for training",
    ):
        assert said in notes


@pytest.mark.parametrize("steps", [16, 12, 5])
def test_the_bundles_preprocessing_gives_what_networks_are_taught_on(
    tmp_path: Path, steps: int
) -> None:
    """Of halves and of lengths that do not divide the window."""
    task = learning_task(CLASSES)
    found = _read(
        _arrays(tmp_path / "a.npz", x=np.random.default_rng(0).normal(5.0, 3.0, (20, 2, 16)))
    )
    found.save(tmp_path / "stored.npz")
    data = task.load(tmp_path / "stored.npz", max_train=None, device=torch.device("cpu"))
    said = task.preprocessing(found.facts(), data, steps)
    (tmp_path / "preprocessing.json").write_text(json.dumps(said))
    prepare = Preprocessing.load(tmp_path / "preprocessing.json")
    window = data.test.inputs[0]
    assert prepare(window.numpy()) == pytest.approx(
        data.prepared(window[None], steps).numpy(), abs=1e-5
    )
    with pytest.raises(ValueError, match=r"a window is \(2, 16\)"):
        prepare(window.numpy()[:, :3])
    assert "preprocess_signal.py" in task.bundle_files(found.facts())


def test_files_are_of_the_parts_that_their_names_say_where_all_do(tmp_path: Path) -> None:
    folder = tmp_path / "walks"
    folder.mkdir()
    for number, name in enumerate(("walk_train", "walk_val", "walk_test")):
        rows = [f"{np.sin(step + number)},{'ab'[step // 8 % 2]}" for step in range(160)]
        (folder / f"{name}.csv").write_text("\n".join(["level,label", *rows]) + "\n")
    found = _read(folder, window=8)
    counts = {"a": 10, "b": 10}
    assert found.report["counts"] == dict.fromkeys(("train", "validation", "test"), counts)
    (folder / "walk_03.csv").write_text((folder / "walk_train.csv").read_text())
    with pytest.raises(InvalidData, match="4 groups: at least 5 are needed"):  # to draw parts of
        _read(folder, window=8)


def test_a_group_in_two_files_stays_on_one_side_whatever_their_names(tmp_path: Path) -> None:
    for name in ("train", "test"):
        rows = [f"{np.sin(step)},{'ab'[step // 8 % 2]},p{step // 32}" for step in range(192)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["level,label,subject", *rows]) + "\n")
    found = _read(tmp_path, window=8)
    assert (
        "names of files say parts, but groups stand in several: parts are drawn"
        in (found.report["notes"])
    )
    sides = {
        (int(g), int(p)) for g, p in zip(found.windows.groups, found.windows.part, strict=True)
    }
    assert len(sides) == 6


def test_names_that_speak_of_parts_and_are_not_followed_are_told(tmp_path: Path) -> None:
    for name in ("walk_1", "walk_2", "walk_3", "walk_4", "walk_test"):
        rows = [f"{np.sin(step)},{'ab'[step // 8 % 2]}" for step in range(160)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["level,label", *rows]) + "\n")
    notes = _read(tmp_path, window=8).report["notes"]
    assert "names of files that speak of parts say none here, as not all do" in notes


def test_a_temperature_anomaly_is_a_channel_beside_a_label(tmp_path: Path) -> None:
    for number in range(5):
        rows = [f"{np.sin(step)},{step % 3},{'ab'[step // 8 % 2]}" for step in range(160)]
        (tmp_path / f"r{number}.csv").write_text("\n".join(["level,anomaly,label", *rows]) + "\n")
    assert _read(tmp_path, window=8).windows.channel_names == ("level", "anomaly")


def test_a_recording_that_stands_still_refuses_nothing(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(6):
        deviation = 1e-2 if number < 5 else 1e-6
        rows = [
            f"{139.69 + deviation * generator.normal()!r},{'ab'[step // 8 % 2]}"
            for step in range(160)
        ]
        (tmp_path / f"r{number}.csv").write_text("\n".join(["lon,label", *rows]) + "\n")
    assert len(_read(tmp_path, window=8).windows) == 120
