"""Samples for models that ship inside packages, made of what other packages hold.

They are files, texts, pictures and speech. Each kind has a part for ranges and one for judging
that shares nothing with it.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Parts = tuple[Arrays, Arrays]


class Missing(Exception):
    """A package that samples are made of is not there."""


@dataclass(frozen=True)
class Packages:
    """A folder that packages were unpacked into."""

    folder: Path

    def file(self, name: str) -> Path:
        """The only file of that name, whose package has to be there."""
        found = sorted(self.folder.rglob(name))
        if not found:
            raise Missing(f"{name} is not below {self.folder}")
        return found[0]

    def pictures(self) -> list[Array]:
        """Photographs of scikit-image."""
        data = self.file("astronaut.png").parent
        names = sorted([*data.glob("*.png"), *data.glob("*.jpg")])
        opened = [np.asarray(Image.open(one).convert("RGB")) for one in names]
        return [one for one in opened if min(one.shape[:2]) >= 120]

    def words(self) -> list[str]:
        """Words of the packages' own descriptions."""
        text = " ".join(
            one.read_text(errors="ignore")
            for one in sorted(self.folder.glob("*.dist-info/METADATA"))
        )
        found = {one.strip("()[]`*.,:;\"'#<>") for one in text.split()}
        kept = sorted(one for one in found if 2 <= len(one) <= 11 and one.isascii())
        if len(kept) < 100:
            raise Missing(f"there are no packages with descriptions below {self.folder}")
        return kept


Maker = Callable[[Packages, np.random.Generator], Parts]


def split(arrays: Arrays, n_ranges: int) -> Parts:
    """The first so many, and the rest."""
    return (
        {name: one[:n_ranges] for name, one in arrays.items()},
        {name: one[n_ranges:] for name, one in arrays.items()},
    )


def file_bytes(packages: Packages, generator: np.random.Generator) -> Parts:
    """First and last kilobyte of files of this machine, 257 values: 256 stands for nothing."""
    by_ending: dict[str, list[Path]] = {}
    for folder in (packages.folder, Path("/usr/share"), Path("/usr/lib"), Path("/etc")):
        for one in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if one.is_file() and not one.is_symlink() and one.stat().st_size > 3000:
                by_ending.setdefault(one.suffix, []).append(one)
    rows: list[Array] = []
    while len(rows) < 288 and by_ending:
        for ending in sorted(by_ending):
            some = by_ending[ending]
            content = _read(some.pop(int(generator.integers(len(some)))))
            if not some:
                del by_ending[ending]
            if content is not None:
                rows.append(_ends_of(content))
    order = generator.permutation(len(rows))
    return split({"bytes": np.stack(rows)[order].astype(np.int32)}, 128)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:  # not for everybody
        return None


def _ends_of(content: bytes) -> Array:
    row = np.full(2048, 256)
    first, last = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
    row[: len(first)] = list(first)
    row[2048 - len(last) :] = list(last)
    return row


def text_lines(packages: Packages, generator: np.random.Generator) -> Parts:
    """Lines of words, as a text recogniser reads them: `(1, 3, 48, 320)`."""
    lines = _lines(packages, generator, 160, 320)
    return split({"x": _signed(lines)}, 64)


def turned_lines(packages: Packages, generator: np.random.Generator) -> Parts:
    """The same, every other one upside down, 192 wide."""
    lines = _lines(packages, generator, 224, 192)
    lines[1::2] = lines[1::2, ::-1, ::-1]
    return split({"x": _signed(lines)}, 96)


def scenes_with_text(packages: Packages, generator: np.random.Generator) -> Parts:
    """Cut-outs of photographs with words on them, by the mean of ImageNet: `(1, 3, 320, 320)`."""
    words, pictures = packages.words(), packages.pictures()
    scenes = []
    for _ in range(72):
        scene = Image.fromarray(_cut_out(pictures, generator, 320))
        draw = ImageDraw.Draw(scene)
        for _ in range(int(generator.integers(1, 6))):
            at = (int(generator.integers(0, 200)), int(generator.integers(0, 290)))
            colour = tuple(int(one) for one in generator.integers(0, 256, 3))
            word = words[int(generator.integers(len(words)))]
            draw.text(at, word, colour, ImageFont.load_default(int(generator.integers(14, 40))))
        scenes.append(np.asarray(scene, np.float32) / 255)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    ready = ((np.stack(scenes) - mean) / deviation).transpose(0, 3, 1, 2)
    return split({"x": ready.astype(np.float32)}, 32)


def photographs(packages: Packages, generator: np.random.Generator) -> Parts:
    """Cut-outs of photographs from 0 to 1: `(1, 3, 320, 320)`."""
    pictures = packages.pictures()
    cut = np.stack([_cut_out(pictures, generator, 320) for _ in range(96)])
    return split({"images": (cut / 255.0).transpose(0, 3, 1, 2).astype(np.float32)}, 48)


def speech(packages: Packages, generator: np.random.Generator) -> Parts:
    """Windows of speech with the states that the detector itself had before them.

    The first half of a recording is for ranges, the second for judging, each at five levels of
    sound and noise.
    """
    import onnxruntime as ort

    with wave.open(str(packages.file("leak-test.wav"))) as file:
        told = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768.0
    # from 8 to 16 kHz
    sound = np.interp(np.arange(2 * len(told)) / 2, np.arange(len(told)), told).astype(np.float32)
    session = ort.InferenceSession(
        packages.file("silero_vad_openvino_16k.onnx"), providers=["CPUExecutionProvider"]
    )
    half = len(sound) // 2
    parts = []
    for part in (sound[:half], sound[half:]):
        rows = [
            row
            for level, noise in ((1, 0), (0.3, 0.002), (1, 0.01), (0.1, 0.001), (2, 0))
            for row in _windows(
                session, np.clip(level * part + _noise(part, noise, generator), -1, 1)
            )
        ]
        windows, states = (np.stack(some) for some in zip(*rows, strict=True))
        parts.append({"input": windows, "state": states})
    return parts[0], parts[1]


def _noise(part: Array, deviation: float, generator: np.random.Generator) -> Array:
    return generator.normal(0.0, deviation, len(part)) if deviation else np.zeros(len(part))


def _windows(session: Any, sound: Array) -> Iterator[tuple[Array, Array]]:
    state = np.zeros((2, 1, 128), np.float32)
    before = np.zeros(64, np.float32)
    for start in range(0, len(sound) - 512, 512):
        heard = np.clip(sound[start : start + 512], -1.0, 1.0)
        window = np.concatenate([before, heard])[None].astype(np.float32)
        yield window, state
        _, state = session.run(None, {"input": window, "state": state})
        before = window[0, -64:]


def _lines(packages: Packages, generator: np.random.Generator, n: int, width: int) -> Array:
    words = packages.words()
    lines = []
    for _ in range(n):
        paper, ink = generator.integers(180, 256, 3), generator.integers(0, 90, 3)
        line = Image.new("RGB", (width, 48), tuple(int(one) for one in paper))
        draw = ImageDraw.Draw(line)
        font = ImageFont.load_default(int(generator.integers(22, 34)))
        text = ""
        while True:
            longer = f"{text} {words[int(generator.integers(len(words)))]}".strip()
            if draw.textlength(longer, font) > width - 14:
                break
            text = longer
        at = (6, int(generator.integers(2, 10)))
        draw.text(at, text, tuple(int(one) for one in ink), font)
        lines.append(np.asarray(line, np.float32) + generator.normal(0, 4, (48, width, 3)))
    return np.stack(lines)


def _signed(pictures: Array) -> Array:
    """From -1 to 1, channels first."""
    return ((pictures / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2).astype(np.float32)


def _cut_out(pictures: list[Array], generator: np.random.Generator, side: int) -> Array:
    picture = pictures[int(generator.integers(len(pictures)))]
    least = min(picture.shape[:2])
    size = int(generator.integers(least // 2, least + 1))
    top, left = (int(generator.integers(n - size + 1)) for n in picture.shape[:2])
    cut = Image.fromarray(picture[top : top + size, left : left + size])
    return np.asarray(cut.resize((side, side)))
