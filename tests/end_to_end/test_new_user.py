"""A folder of pictures as people have them, to a bundle that another machine checks by itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.service import Service
from tests.tools import lacks

SIZE = 24
CLASSES = ("cat", "dog", "owl")
SAVED = ("plain.png", "turned.tiff", "clear.png", "plain.bmp", "plain.webp", "deep.png")
"""What a file is and how its name ends, in turn."""


def _pixels(label: int, generator: np.random.Generator) -> np.ndarray:
    """A picture whose brightest third tells its class: `(24, 24, 3)`."""
    pixels = generator.integers(0, 150, (SIZE, SIZE, 3), dtype=np.uint8)
    pixels[:, 8 * label : 8 * label + 8] += 55
    return pixels


def _save(path: Path, kind: str, pixels: np.ndarray) -> None:
    """The same picture, upright and in 8 bits, in whatever way."""
    image = Image.fromarray(pixels)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter clockwise, so it lies a quarter the other way
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    elif kind == "clear":
        image.putalpha(255)
        image.save(path)
    elif kind == "deep":  # 255 * 257 is 65535
        grey = pixels[:, :, :1].astype(np.uint16) * 257
        Image.fromarray(grey[:, :, 0]).save(path)
    elif path.suffix == ".webp":
        image.save(path, lossless=True)
    else:
        image.save(path)


def _folder(root: Path) -> tuple[np.ndarray, list[str]]:
    """Class folders below `train` and `holdout`; pictures and labels of the second."""
    generator = np.random.default_rng(0)
    held: list[np.ndarray] = []
    labels = []
    for part, n in (("train", 90), ("holdout", 40)):
        for label, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for number in range(n):
                kind, _, ending = SAVED[number % len(SAVED)].partition(".")
                pixels = _pixels(label, generator)
                _save(root / part / name / f"{number}.{ending}", kind, pixels)
                if part == "holdout":
                    held.append(pixels[:, :, :1].repeat(3, 2) if kind == "deep" else pixels)
                    labels.append(name)
    return np.stack(held), labels


def _bare_python(folder: Path) -> Path:
    """An environment with numpy and ONNX Runtime alone."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    wanted = [f"{name}=={version(name)}" for name in ("numpy", "onnxruntime")]
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lacks(f"pip cannot install {' '.join(wanted)}")
    return python


@pytest.mark.slow
def test_from_a_folder_to_another_machine(tmp_path: Path) -> None:
    pixels, labels = _folder(tmp_path / "pictures")
    service = Service(tmp_path / "var")
    service.start()

    def nas(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nas_service.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
            env={**os.environ, "NAS_SERVER": service.url},
        )

    try:
        asked = nas("datasets", "inspect", str(tmp_path / "pictures"))
        assert asked.returncode == 2
        assert "--split" in asked.stdout + asked.stderr
        assert "holdout=test" in asked.stdout + asked.stderr
        answer = ("--split", "holdout=test")
        told = nas("datasets", "inspect", str(tmp_path / "pictures"), *answer)
        assert told.returncode == 0, told.stderr
        for sentence in ("turned upright", "have alpha: composed over", "16-bit"):
            assert sentence in told.stdout
        added = nas("datasets", "add", "pets", str(tmp_path / "pictures"), *answer)
        assert added.returncode == 0, added.stderr
        small = ("--queries", "6", "--initial", "10", "--winners", "1", "--epochs", "3")
        limits = ("--profile-budget-s", "8", "--finetune-epochs", "1")
        begun = nas("search", "--dataset", "pets", *small, *limits, "--no-wait")
        assert begun.returncode == 0, begun.stderr
        match = re.search(r"sea_\w+", begun.stdout)
        assert match is not None
        service.kill()  # the user leaves, and the machine is switched off and on
        service.start()
        waited = nas("wait", match[0])
        assert waited.returncode == 0, waited.stderr
        fetched = nas("fetch", match[0], "--out", str(tmp_path / "result"))
        assert fetched.returncode == 0, fetched.stderr
        signed = nas("verify", str(tmp_path / "result" / "bundle.zip"))
        assert signed.returncode == 0, signed.stderr
        assert "files as made, signed by key_" in signed.stdout
        (tmp_path / "key.pem").write_text(nas("signing-keys").stdout)
    finally:
        service.stop()
    bundle = tmp_path / "bundle"
    with zipfile.ZipFile(tmp_path / "result" / "bundle.zip") as archive:
        archive.extractall(bundle)
    report = json.loads((bundle / "report.json").read_text())
    rows = [row for row in report["winners"] if row["published"]]
    assert rows, [row["reason"] for row in report["winners"]]
    np.savez(tmp_path / "samples.npz", x=pixels, y=np.array(labels))
    python = _bare_python(tmp_path / "elsewhere")
    done = subprocess.run(
        [
            *(str(python), str(bundle / "verify.py"), str(tmp_path / "samples.npz")),
            *("--key", str(tmp_path / "key.pem")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    # a Python without the package asks OpenSSL
    assert told[:2] == ["files: as listed in SHA256SUMS", "signed by key.pem"]
    lines = told[3 : 3 + len(rows)]
    for row, line in zip(rows, lines, strict=True):
        assert " ok " in line
        # the samples are the test part: as many are told right as the service measured
        right, of = map(int, re.findall(r"(\d+) of (\d+)", line)[0])
        assert of == len(labels)
        assert right == round(row["measured_accuracy"] * of)
