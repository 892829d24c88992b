"""What `verify.py` of a bundle says of samples of the user's own."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nas_service.templates.signed import SUMS

TEMPLATES = Path(__file__).parents[3] / "nas_service" / "templates"
CLASSES = ("café", "dog", "owl")
KINDS = np.arange(12) % 3
PIXELS = np.broadcast_to(10 * KINDS[:, None, None, None], (12, 6, 6, 1)).astype(np.uint8)
_PICTURES = {
    "size": 6,
    "stored_size": 6,
    "channels": 1,
    "background": "#ffffff",
    "value_range": None,
    "mean": [0.0],
    "std": [1.0],
}
_SIGNALS = {
    "channels": ["a"],
    "window_steps": 6,
    "steps": 6,
    "mean": [0.0],
    "std": [1.0],
    "target_mean": 100.0,
    "target_std": 50.0,
}


def _bundle(folder: Path, *, numbers: bool = False) -> Path:
    """One model: the class whose shade is nearest, or of numbers the mean of a window."""
    made = folder / "bundle"
    (made / "winner0").mkdir(parents=True)
    code = "preprocess_signal.py" if numbers else "preprocess.py"
    for name in ("verify.py", "signed.py", code):
        shutil.copy(TEMPLATES / name, made)
    told = _SIGNALS if numbers else _PICTURES
    (made / "winner0" / "preprocessing.json").write_text(json.dumps(told))
    if not numbers:
        (made / "class_names.json").write_text(json.dumps(CLASSES))
    shape = (1, 1, 6) if numbers else (1, 1, 6, 6)
    shades = numpy_helper.from_array(np.float32([[0.0, 10 / 255, 20 / 255]]), "shades")
    nodes = [
        helper.make_node("ReduceMean", ["inputs"], ["mean"], axes=list(range(1, len(shape)))[1:]),
        helper.make_node("Flatten", ["mean"], ["outputs" if numbers else "shade"]),
    ]
    if not numbers:
        nodes += [
            helper.make_node("Sub", ["shade", "shades"], ["off"]),
            helper.make_node("Abs", ["off"], ["distance"]),
            helper.make_node("Neg", ["distance"], ["outputs"]),
        ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, (1, 1 if numbers else 3))],
        [] if numbers else [shades],
    )
    opsets = [helper.make_opsetid("", 13)]
    path = made / "winner0" / "fp32.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    session = ort.InferenceSession(str(path))
    inputs = np.random.default_rng(0).random((3, *shape[1:])).astype(np.float32)
    outputs = np.concatenate([session.run(None, {"inputs": one[None]})[0] for one in inputs])
    np.savez(made / "winner0" / "parity.npz", inputs=inputs, outputs=outputs)
    row = {"published": True, "folder": "winner0", "file": "fp32.onnx", "parity": "parity.npz"}
    row |= {"precision": "fp32", "measured_latency_ms": 0.1}
    (made / "report.json").write_text(json.dumps({"files": [row]}))
    every = [one.relative_to(made) for one in sorted(made.rglob("*")) if one.is_file()]
    sums = [f"{hashlib.sha256((made / one).read_bytes()).hexdigest()}  {one}" for one in every]
    (made / SUMS).write_text("\n".join(sums) + "\n")
    return made


def _said(bundle: Path, samples: Path) -> tuple[int, str]:
    """The exit status, and the end of what it says."""
    done = subprocess.run(
        [sys.executable, str(bundle / "verify.py"), str(samples)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, (done.stderr or done.stdout).strip().splitlines()[-1]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _bundle(tmp_path_factory.mktemp("pictures"))


NAMES = np.array(CLASSES)[KINDS]


@pytest.mark.parametrize(
    "arrays",
    [
        {"y": NAMES},
        {"y": np.char.add(" ", NAMES)},
        {"y": np.char.encode(NAMES, "utf-8")},
        {"y": np.array(["cafe\N{COMBINING ACUTE ACCENT}", "dog", "owl"])[KINDS]},
        {"y": KINDS},
        {"y": KINDS[:, None]},
        {"y": KINDS.astype(float)},
        {"y": np.eye(3)[KINDS]},
        {"x": PIXELS.transpose(0, 3, 1, 2), "y": KINDS},
    ],
)
def test_labels_are_read_as_an_import_reads_them(
    bundle: Path, tmp_path: Path, arrays: dict[str, Any]
) -> None:
    np.savez(tmp_path / "S.NPZ", **{"x": PIXELS, **arrays})
    (tmp_path / "S.NPZ.npz").rename(tmp_path / "S.NPZ")
    status, said = _said(bundle, tmp_path / "S.NPZ")
    assert (status, said.split()[-3:]) == (0, ["12", "of", "12"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": KINDS + 1}, "label '1' is none of the classes café, dog, owl"),
        ({"y": np.array(["cat"] * 12)}, "label 'cat' is none of the classes"),
        ({"y": KINDS[:5]}, "x has 12 samples, y 5"),
        ({}, "has no array y"),
        ({"x": PIXELS[:0], "y": KINDS[:0]}, "has no samples"),
        ({"y": NAMES.astype(object)}, "cannot be read"),
        ({"y": np.ones((12, 2))}, "y is (12, 2)"),
    ],
)
def test_samples_that_cannot_be_judged_are_refused(
    bundle: Path, tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "s.npz", **{"x": PIXELS, **arrays})
    status, said = _said(bundle, tmp_path / "s.npz")
    assert status == 1
    assert message in said


def _pictures(folder: Path, names: tuple[str, ...] = CLASSES) -> Path:
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for k in range(4):
            shade = np.full((6, 6), 10 * number, np.uint8)
            Image.fromarray(shade).save(folder / name / f"{k}.png")
    return folder


def test_folders_of_classes_are_read_without_what_systems_put_there(
    bundle: Path, tmp_path: Path
) -> None:
    samples = _pictures(tmp_path / "set", ("cafe\N{COMBINING ACUTE ACCENT}", "dog", "owl"))
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (samples / "dog" / name).write_text("x")
    (samples / "dog" / "more").mkdir()
    (samples / "dog" / "0.png").rename(samples / "dog" / "more" / "0.png")  # a group
    (samples / ".cache").mkdir()
    shutil.copy(samples / "owl" / "0.png", samples / ".cache")
    assert _said(bundle, samples)[1].split()[-3:] == ["12", "of", "12"]
    for names, message in (
        (("Dog", "owl"), "folder 'Dog' is none of the classes"),
        ((), "neither a folder of class folders nor an .npz"),
    ):
        status, said = _said(bundle, _pictures(tmp_path / f"of{len(names)}", names))
        assert status == 1
        assert message in said
    (tmp_path / "empty").mkdir()
    assert "has no picture in a folder of a class" in _said(bundle, tmp_path / "empty")[1]


def test_numbers_are_judged_in_their_own_unit(tmp_path: Path) -> None:
    windows = np.random.default_rng(1).random((20, 6)).astype(np.float32)
    numbers = 100.0 + 50.0 * windows.mean(axis=1)
    numbers[0] += 10.0
    np.savez(tmp_path / "s.npz", x=windows, y=numbers)
    share = 1.0 - 100.0 / 20 / numbers.var()
    assert _said(_bundle(tmp_path, numbers=True), tmp_path / "s.npz")[1].endswith(f"{share:.4f} R2")
