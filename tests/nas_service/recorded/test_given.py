"""Samples as users give them: which arrays mean what, and what is refused by name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from nas_service.errors import InvalidData
from nas_service.recorded import given
from nas_service.recorded.feeds import read_recorded, save_recorded
from nas_service.recorded.given import read_given
from nas_service.recorded.signature import Signature, Tensor

SPEECH = Signature(
    inputs=(
        Tensor("sound", "float32", (1, None)),
        Tensor("state", "float32", (2, 1, 3)),
        Tensor("rate", "int64", ()),
    ),
    outputs=(Tensor("speech", "float32", (1, 1)),),
)
GOOD: dict[str, Any] = {
    "sound": np.arange(20.0).reshape(4, 5),
    "state": np.zeros((4, 2, 1, 3), np.float32),
    "rate": np.array(16000),
}


def _file(folder: Path, name: str = "samples.npz", **arrays: Any) -> Path:
    np.savez(folder / name, **arrays)
    return folder / name


def test_each_sample_has_every_input_in_the_models_types_and_sizes(tmp_path: Path) -> None:
    told = read_given([_file(tmp_path, **GOOD)], SPEECH, "samples")
    assert len(told) == 4
    third = told.samples[2]
    assert third["sound"].tolist() == [[10.0, 11.0, 12.0, 13.0, 14.0]]  # the model's own first axis
    assert third["state"].shape == (2, 1, 3)
    assert third["rate"].shape == ()  # one for all
    assert third["rate"].item() == 16000
    assert {name: str(one.dtype) for name, one in third.items()} == {
        "sound": "float32",
        "state": "float32",
        "rate": "int64",
    }


def test_samples_may_have_every_axis_of_the_model_and_sizes_of_their_own(tmp_path: Path) -> None:
    whole = {**GOOD, "sound": GOOD["sound"][:, None]}
    longer = {**GOOD, "sound": np.ones((4, 1, 9)), "rate": np.full(4, 8000)}
    paths = [_file(tmp_path, "one.npz", **whole), _file(tmp_path, "two.npz", **longer)]
    told = read_given(paths, SPEECH, "samples")
    assert [one["sound"].shape for one in told.samples] == 4 * [(1, 5)] + 4 * [(1, 9)]
    assert told.samples[7]["rate"].item() == 8000


def test_what_is_right_goes_with_its_sample(tmp_path: Path) -> None:
    told = read_given([_file(tmp_path, **GOOD, targets=np.arange(4))], SPEECH, "test")
    assert told.targets is not None
    assert [int(one) for one in told.targets] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": None}, ["state is missing", "sound float32 (1, ?)"]),
        ({"speed": np.ones(4)}, ["speed is none of its inputs"]),
        ({"state": np.zeros((4, 2, 1, 4))}, ["state is float64 (4, 2, 1, 4)", "axis 2"]),
        ({"state": np.zeros((4, 3))}, ["state is float64 (4, 3)", "give (n, 2, 1, 3)"]),
        ({"sound": np.ones((3, 5))}, ["sound has 3 samples, others have 4"]),
        ({"sound": np.ones((4, 0))}, ["axis 1"]),
        ({"rate": np.full(4, 0.5)}, ["rate is float64", "cannot be made int64"]),
        ({"rate": np.array(["a", "b", "c", "d"])}, ["rate is <U1", "cannot be made int64"]),
        ({"sound": np.where(np.eye(4, 5) > 0, np.nan, 1.0)}, ["sound[0, 0] is not finite"]),
        ({"sound": np.full((4, 5), 1e300)}, ["sound is float64", "cannot be made float32"]),
        ({"targets": np.ones(3)}, ["targets are 3 of 4 samples"]),
        ({"targets": np.array(1)}, ["targets is int64 ()"]),
        ({"targets": np.array(["a"] * 4)}, ["targets is <U1 (4,)"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    change: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    arrays = {name: one for name, one in {**GOOD, **change}.items() if one is not None}
    with pytest.raises(InvalidData) as refused:
        read_given([_file(tmp_path, **arrays)], SPEECH, "samples")
    for one in ["samples.npz", *words]:
        assert one in str(refused.value)
    assert refused.value.fields["field"] == "samples"


def test_files_with_and_without_what_is_right_do_not_go_together(tmp_path: Path) -> None:
    paths = [_file(tmp_path, "a.npz", **GOOD), _file(tmp_path, "b.npz", **GOOD, targets=np.ones(4))]
    with pytest.raises(InvalidData, match="in some of the files and not in others"):
        read_given(paths, SPEECH, "test")


def test_what_is_right_is_a_number(tmp_path: Path) -> None:
    path = _file(tmp_path, **GOOD, targets=np.array([0.0, 1.0, np.nan, 1.0]))
    with pytest.raises(InvalidData, match=r"samples.npz: targets\[2\] is not finite"):
        read_given([path], SPEECH, "test")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_what_is_no_archive_of_arrays_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=r"broken.npz cannot be read as .npz"):
        read_given([path], SPEECH, "samples")


def test_an_archive_that_says_it_is_huge_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "huge.npz"
    header = io.BytesIO()
    npy.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 5)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sound.npy", header.getvalue() + bytes(80))
    with pytest.raises(InvalidData, match=r"sound.npy says 20,000,000,000,000 bytes and has"):
        read_given([path], SPEECH, "samples")


def test_what_unpacks_to_more_than_is_taken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given, "MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "bomb.npz", sound=np.zeros((4, 5000)))
    with pytest.raises(InvalidData, match=r"bomb.npz has 1 arrays of 160,128 bytes unpacked"):
        read_given([tmp_path / "bomb.npz"], SPEECH, "samples")


def test_members_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "notes.npz", "w") as archive:
        archive.writestr("notes.txt", "no array")
    with pytest.raises(InvalidData, match=r"notes.npz cannot be read as .npz"):
        read_given([tmp_path / "notes.npz"], SPEECH, "samples")


def test_python_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, sound=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InvalidData, match="Python objects"):
        read_given([path], SPEECH, "samples")


def test_recorded_samples_come_back_as_they_were(tmp_path: Path) -> None:
    samples = [
        {"a": np.arange(n, dtype=np.int64), "b": np.array(n, np.float16)} for n in (2, 2, 5, 2)
    ]
    back = read_recorded(save_recorded(tmp_path / "kept.npz", samples))
    assert len(back) == 4
    for one, other in zip(samples, back, strict=True):
        for name, values in one.items():
            assert other[name].dtype == values.dtype
            np.testing.assert_array_equal(other[name], values)
