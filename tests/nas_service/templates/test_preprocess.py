"""`preprocess.py` of a bundle gives the import's pixels and the network's input, by numpy alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_service.datasets.answers import parse
from nas_service.datasets.ingest import ingest
from nas_service.learning.image_classification.data import load
from nas_service.templates import preprocess
from nas_service.templates.preprocess import Preprocessing, fitted, in_8_bits, with_channels


def _told(size: int, stored: int, **changed: object) -> dict[str, object]:
    plain = {"size": size, "stored_size": stored, "channels": 3, "background": "#ffffff"}
    return {
        **plain,
        "value_range": None,
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.25],
    } | changed


def _folder(root: Path, ending: str, make: object) -> list[Path]:
    """Ten pictures each of two classes; `make(seed)` gives one."""
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        for i in range(10):
            image = make(ord(label) * 10 + i)  # type: ignore[operator]
            image.save(root / label / f"{i}.{ending}")
    return sorted(root.rglob(f"*.{ending}"))


def _noise(mode: str, width: int, height: int):  # type: ignore[no-untyped-def]
    def make(seed: int) -> Image.Image:
        n = len(Image.new(mode, (1, 1)).getbands())
        values = np.random.default_rng(seed).integers(0, 256, (height, width, n), dtype=np.uint8)
        return Image.fromarray(values[..., 0] if n == 1 else values)

    return make


@pytest.mark.parametrize(
    ("mode", "width", "height", "side", "options"),
    [
        ("RGB", 37, 53, 16, {}),
        ("RGB", 16, 16, 16, {}),
        ("RGB", 9, 12, 24, {}),
        ("RGB", 33, 32, 32, {}),
        ("L", 41, 40, 12, {}),
        ("RGBA", 30, 44, 20, {"background": "#204060"}),
        ("LA", 31, 30, 14, {}),
    ],
)
def test_pixels_are_those_of_the_import_to_the_last_bit(
    mode: str, width: int, height: int, side: int, options: dict[str, str], tmp_path: Path
) -> None:
    files = _folder(tmp_path, "png", _noise(mode, width, height))
    stored = ingest(tmp_path, parse({"image_size": side, **options}))
    known = {image.tobytes() for image in stored.images}
    channels = stored.images.shape[3]
    for file in files:
        pixels = np.asarray(Image.open(file))
        pixels = with_channels(in_8_bits(pixels), channels, options.get("background", "#ffffff"))
        assert fitted(pixels, side).tobytes() in known


def test_sixteen_bits_are_read_as_the_import_reads_them(tmp_path: Path) -> None:
    def make(seed: int) -> Image.Image:
        values = np.random.default_rng(seed).integers(0, 65536, (20, 24))
        return Image.fromarray(values.astype(np.uint16))

    files = _folder(tmp_path, "png", make)
    known = {image.tobytes() for image in ingest(tmp_path, parse({"image_size": 10})).images}
    prepare = Preprocessing(_told(10, 10, channels=1, mean=[0.0], std=[1.0]))
    for file in files:
        alone = fitted(in_8_bits(np.asarray(Image.open(file))), 10)
        assert alone.tobytes() in known
        assert np.allclose(prepare.file(file)[0, 0] * 255, alone[..., 0], atol=1e-4)


@pytest.mark.parametrize("size", [12, 16, 20])
def test_inputs_are_those_that_networks_are_trained_on(size: int, tmp_path: Path) -> None:
    _folder(tmp_path / "data", "png", _noise("RGB", 30, 20))
    made = ingest(tmp_path / "data", parse({"image_size": 16}))
    made.save(tmp_path / "stored.npz")
    data = load(tmp_path / "stored.npz")
    told = _told(size, 16, mean=list(data.mean), std=list(data.std))
    expected = data.prepared(data.test.inputs, size).numpy()
    for image, wanted in zip(data.test.inputs, expected, strict=True):
        pixels = image.permute(1, 2, 0).numpy()
        np.testing.assert_allclose(Preprocessing(told)(pixels)[0], wanted, atol=2e-5)


def test_files_of_large_photographs_are_read_as_the_import_reads_them(tmp_path: Path) -> None:
    def make(seed: int) -> Image.Image:
        small = np.random.default_rng(seed).integers(0, 256, (30, 45, 3), dtype=np.uint8)
        return Image.fromarray(small).resize((900, 600), Image.Resampling.BICUBIC)

    files = _folder(tmp_path, "jpg", make)
    known = {image.tobytes() for image in ingest(tmp_path, parse({"image_size": 24})).images}
    prepare = Preprocessing(_told(24, 24, mean=[0.0] * 3, std=[1.0] * 3))
    for file in files:
        pixels = np.rint(prepare.file(file)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
        assert pixels.tobytes() in known


def test_it_needs_numpy_alone() -> None:
    script = (
        "import sys, json, numpy as np\n"
        "for name in ('PIL', 'torch', 'scipy'): sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(Path(preprocess.__file__).parent)!r})\n"
        "from preprocess import Preprocessing\n"
        "told = json.loads(sys.argv[1])\n"
        "print(Preprocessing(told)(np.zeros((40, 30, 4), np.uint8)).shape)\n"
    )
    told = json.dumps(_told(16, 20))
    done = subprocess.run(
        [sys.executable, "-c", script, told], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(1, 3, 16, 16)"
