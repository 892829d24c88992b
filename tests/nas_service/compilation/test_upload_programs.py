"""Exported programs that users bring: what is taken, and that nothing of them acts."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_service.compilation.base import Source
from nas_service.compilation.uploads.inspect import inspect, inspect_trainable
from nas_service.errors import InvalidData


def _look(path: Path, tmp_path: Path) -> dict[str, Any]:
    return inspect(path, tmp_path / "normalised")


def test_an_exported_program_is_taken(
    compiled_network: tuple[Source, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    program = compiled_network[0].program
    assert program is not None
    found = _look(program, tmp_path)
    assert (found["form"], found["channels"], found["classes"]) == ("program", 3, 10)
    assert "aten.conv2d.default" in found["operators"]
    image = torch.rand(1, 3, found["size"], found["size"])
    with torch.no_grad():
        wanted, got = (
            torch.export.load(path).module()(image) for path in (program, tmp_path / "normalised")
        )
    assert torch.equal(wanted, got)


class _Evil:
    """Touches a file when it is unpickled, or when its code is run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))

    @property
    def pickled(self) -> bytes:
        buffer = io.BytesIO()
        torch.save(self, buffer)
        return buffer.getvalue()

    @property
    def code(self) -> str:
        return f"__import__('pathlib').Path({str(self.path)!r}).touch()"


Entries = dict[str, bytes]


def _json(entries: Entries, end: str, change: Callable[[dict[str, Any]], None]) -> None:
    name = next(one for one in entries if one.endswith(end))
    told = json.loads(entries[name])
    change(told)
    entries[name] = json.dumps(told).encode()


def _pickled_weight(entries: Entries, evil: _Evil) -> None:
    def change(told: dict[str, Any]) -> None:
        next(iter(told["config"].values()))["use_pickle"] = True

    _json(entries, "model_weights_config.json", change)
    entries[next(one for one in entries if one.endswith("weight_0"))] = evil.pickled


def _pickled_sample(entries: Entries, evil: _Evil) -> None:
    entries[next(one for one in entries if "sample_inputs/" in one)] = evil.pickled


def _weights_of_an_old_layout(entries: Entries, evil: _Evil) -> None:
    folder = next(iter(entries)).partition("/")[0]
    entries[f"{folder}/data/weights/model.pt"] = evil.pickled


def _constants_of_an_old_layout(entries: Entries, evil: _Evil) -> None:
    folder = next(iter(entries)).partition("/")[0]
    entries[f"{folder}/data/constants/model.pt"] = evil.pickled


def _archive_of_an_old_torch(entries: Entries, evil: _Evil) -> None:
    entries.clear()
    entries["version"] = b"8.8"
    entries["serialized_exported_program.json"] = b"{}"
    for part in ("state_dict", "constants", "example_inputs"):
        entries[f"serialized_{part}.pt"] = evil.pickled


def _evaluated_size(entries: Entries, evil: _Evil) -> None:
    def change(told: dict[str, Any]) -> None:
        tensor = next(iter(told["graph_module"]["graph"]["tensor_values"].values()))
        tensor["sizes"][0] = {"as_expr": {"expr_str": evil.code, "hint": {"as_int": 1}}}

    _json(entries, "models/model.json", change)


def _condition_of_code(entries: Entries, evil: _Evil) -> None:
    _json(
        entries, "models/model.json", lambda told: told.update(guards_code=[f"{evil.code} or True"])
    )


@pytest.mark.parametrize(
    "attack",
    [
        _pickled_weight,
        _pickled_sample,
        _weights_of_an_old_layout,
        _constants_of_an_old_layout,
        _archive_of_an_old_torch,
        _evaluated_size,
    ],
)
def test_nothing_of_an_upload_is_executed(
    attack: Callable[[Entries, _Evil], None],
    compiled_network: tuple[Source, np.ndarray, np.ndarray],
    tmp_path: Path,
) -> None:
    path = _changed(compiled_network[0], tmp_path, attack)
    with pytest.raises(InvalidData, match="not taken"):
        _look(path, tmp_path)
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "normalised").exists()


def _program(tmp_path: Path, *axes: int) -> Path:
    """A layer for pictures of 8 pixels, exported with those axes left open."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    open_axes = dict.fromkeys(axes, torch.export.Dim.DYNAMIC)
    program = torch.export.export(network, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=(open_axes,))
    torch.export.save(program, tmp_path / "open.pt2")
    return tmp_path / "open.pt2"


def test_a_program_of_any_batch_may_be_trained_on(tmp_path: Path) -> None:
    found = inspect_trainable(_program(tmp_path, 0), tmp_path / "normalised")
    assert (found["input"], found["output"]) == ([2, 3, 8, 8], [2, 4])
    loaded = torch.export.load(tmp_path / "normalised")
    images = torch.rand(5, 3, 8, 8)
    wanted = torch.export.load(tmp_path / "open.pt2").module()(images)
    assert torch.equal(loaded.module()(images), wanted)


def test_a_batch_that_is_folded_into_other_sizes_is_taken(tmp_path: Path) -> None:
    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            rows = self.layer(x.reshape(x.shape[0] * 24, 8))  # a row of a channel each
            found: Tensor = rows.reshape(x.shape[0], 24 * 4)
            return found

    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(Folded(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=dynamic)
    torch.export.save(program, tmp_path / "folded.pt2")
    found = inspect_trainable(tmp_path / "folded.pt2", tmp_path / "normalised")
    assert found["output"] == [2, 96]


@pytest.mark.parametrize("axes", [(2,), (0, 2)])
def test_other_open_sizes_are_refused(axes: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="sizes beside its batch depend on its input"):
        inspect_trainable(_program(tmp_path, *axes), tmp_path / "normalised")


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('pathlib').Path(TOUCHED).touch()",
        "Symbol('s77', positive=True, integer=True)**999999999**9",
        "9**9**9**9",
        "Symbol('s77', positive=True, integer=True) + open(TOUCHED, 'w')",
        "Symbol('TOUCHED', positive=True, integer=True)",
        "1" + "+1" * 400,
        7,
    ],
)
def test_no_other_expression_of_a_size_reaches_torch(expression: object, tmp_path: Path) -> None:
    touched = str(tmp_path / "touched")
    told = expression
    if isinstance(expression, str):
        told = expression.replace("TOUCHED", repr(touched))

    with zipfile.ZipFile(_program(tmp_path, 0)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}

    def change(program: dict[str, Any]) -> None:
        tensor = next(iter(program["graph_module"]["graph"]["tensor_values"].values()))
        tensor["sizes"][0] = {"as_expr": {"expr_str": told, "hint": {"as_int": 1}}}

    _json(entries, "models/model.json", change)
    with zipfile.ZipFile(tmp_path / "evil.pt2", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(InvalidData, match="sizes depend on its input"):
        inspect_trainable(tmp_path / "evil.pt2", tmp_path / "normalised")
    assert not (tmp_path / "touched").exists()


def test_conditions_of_an_upload_are_left_out(
    compiled_network: tuple[Source, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    path = _changed(compiled_network[0], tmp_path, _condition_of_code)
    _look(path, tmp_path)
    torch.export.load(tmp_path / "normalised").module()
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("torch.ops.aten.from_file.default", "reads files"),
        ("torch.ops.aten.save.default", "not one of torch's own"),
        ("torch.ops.mine.twist.default", "not one of torch's own"),
        ("torch.load", "not one of torch's own"),
        ("_operator.methodcaller", "not one of torch's own"),
    ],
)
def test_operators_that_do_more_than_to_compute_are_refused(
    target: str,
    named: str,
    compiled_network: tuple[Source, np.ndarray, np.ndarray],
    tmp_path: Path,
) -> None:
    def change(entries: Entries, _: _Evil) -> None:
        def first(told: dict[str, Any]) -> None:
            told["graph_module"]["graph"]["nodes"][0]["target"] = target

        _json(entries, "models/model.json", first)

    with pytest.raises(InvalidData, match=named):
        _look(_changed(compiled_network[0], tmp_path, change), tmp_path)


def test_an_archive_with_two_entries_of_a_name_is_refused(
    compiled_network: tuple[Source, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    path = _changed(compiled_network[0], tmp_path, _condition_of_code)
    with zipfile.ZipFile(path, "a") as archive:
        name = next(one for one in archive.namelist() if one.endswith("model.json"))
        content = archive.read(name)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(name, content)
    with pytest.raises(InvalidData, match=r"holds models/model\.json twice"):
        _look(path, tmp_path)


def _changed(source: Source, tmp_path: Path, change: Callable[[Entries, _Evil], None]) -> Path:
    """The program's archive with its entries changed."""
    assert source.program is not None
    with zipfile.ZipFile(source.program) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries, _Evil(tmp_path / "touched"))
    path = tmp_path / "changed.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_program_that_is_cut_off_is_refused(
    compiled_network: tuple[Source, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    program = compiled_network[0].program
    assert program is not None
    path = tmp_path / "half.pt2"
    whole = program.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidData, match="cut off"):
        _look(path, tmp_path)
