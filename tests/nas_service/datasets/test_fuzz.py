"""Folders, tables and arrays of any make: read as meant, asked or refused, never otherwise.

What is meant is worked out here from the pictures' own numbers, by other code than the import's.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nas_service.datasets.answers import Answers, parse
from nas_service.datasets.ingest import Ingested, ingest
from nas_service.errors import InvalidData

PARTS = {
    "train": ["train", "Train", "TRAINING", "training_set", "seg_train", "train2017", "TrainSet"],
    "validation": ["val", "valid", "Validation", "val_set", "dev", "seg_val", "val2017"],
    "test": ["test", "Test", "TESTING", "test_set", "seg_test", "test2017", "TestSet"],
}
NAMES = ["cat", "dog", "Big Bird", "caf\u00e9", "cafe\u0301s", "n01440764", "0", "7", "a-b", "x_y"]
MODES = ["L", "RGB", "RGBA", "I;16", "1", "P"]
ENDINGS = {"L": "png bmp tif pgm", "RGB": "png bmp tif ppm TIFF", "RGBA": "png tif", "P": "png gif"}
TURNS = {1: 0, 3: 2, 6: 3, 8: 1}
"""EXIF orientations, and the quarter turns (against the clock) that bring a picture upright."""


@dataclass(frozen=True)
class Plan:
    """A data set to be made: how its folders lie, what its pictures are like."""

    layout: str
    names: tuple[str, ...]
    parts: tuple[str, ...]
    spelling: int
    modes: tuple[str, ...]
    side: int
    turned: bool
    clutter: bool
    seed: int


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=3, unique=True))
    parts = draw(st.sampled_from([(), ("train", "test"), ("train", "validation", "test")]))
    return Plan(
        layout=draw(st.sampled_from(["folders", "part/class", "class/part", "csv", "npz"])),
        names=tuple(names),
        parts=parts,
        spelling=draw(st.integers(0, 6)),
        modes=tuple(draw(st.lists(st.sampled_from(MODES), min_size=1, max_size=2, unique=True))),
        side=draw(st.integers(8, 14)),
        turned=draw(st.booleans()),
        clutter=draw(st.booleans()),
        seed=draw(st.integers(0, 10_000)),
    )


def _picture(
    mode: str, side: int, generator: np.random.Generator
) -> tuple[Image.Image, np.ndarray]:
    """A picture, and the 8-bit RGB that a viewer shows of it over white."""
    if mode == "I;16":
        values = generator.integers(0, 65536, (side, side)).astype(np.uint16)
        values[0, 0] = 65535
        return Image.fromarray(values), np.rint(values / 257.0)[..., None].repeat(3, 2)
    if mode == "1":
        bits = generator.integers(0, 2, (side, side)).astype(bool)
        return Image.fromarray(bits), 255.0 * bits[..., None].repeat(3, 2)
    if mode == "P":
        few = generator.integers(0, 256, (16, 3), dtype=np.uint8)
        places = generator.integers(0, 16, (side, side), dtype=np.uint8)
        image = Image.fromarray(places, mode="P")
        image.putpalette(few.tobytes())
        return image, few[places].astype(float)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    values = generator.integers(0, 256, (side, side, channels), dtype=np.uint8)
    image = Image.fromarray(values[..., 0] if channels == 1 else values)
    if mode == "RGBA":
        alpha = values[..., 3:] / 255.0
        return image, values[..., :3] * alpha + 255.0 * (1.0 - alpha)
    return image, values.astype(float) * np.ones(3)


def _saved(
    image: Image.Image, seen: np.ndarray, path: Path, plan: Plan, generator: np.random.Generator
) -> np.ndarray:
    """Write the picture, turned as cameras do where the plan says so; what a viewer shows."""
    options = {}
    if plan.turned and path.suffix == ".png":
        orientation = int(generator.choice(list(TURNS)))
        meta = Image.Exif()
        meta[0x0112] = orientation
        options["exif"] = meta
        seen = np.rot90(seen, TURNS[orientation])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return seen


def _make(plan: Plan, root: Path) -> tuple[Path, list[tuple[str, str, np.ndarray]]]:
    """The source, and class, part (empty: drawn) and pixels of each picture that is meant."""
    generator = np.random.default_rng(plan.seed)
    meant = []
    rows = []
    arrays: dict[str, list[np.ndarray]] = {}
    parts = plan.parts if plan.layout != "folders" else ()
    for name in plan.names:
        for part in parts or ("",):
            for i in range(12):
                mode = plan.modes[i % len(plan.modes)]
                spelt = PARTS[part][plan.spelling] if part else ""
                label = unicodedata.normalize("NFC", name)
                if plan.layout == "npz":
                    image, seen = _picture("RGB", plan.side, generator)
                    arrays.setdefault(f"x_{part}" if part else "x", []).append(np.asarray(image))
                    arrays.setdefault(f"y_{part}" if part else "y", []).append(np.array(name))
                else:
                    image, seen = _picture(mode, plan.side, generator)
                    ending = generator.choice(ENDINGS.get(mode, "png").split())
                    folders = {
                        "folders": [name],
                        "part/class": [spelt, name],
                        "class/part": [name, spelt],
                        "csv": ["pictures"],
                    }[plan.layout]
                    stem = f"{plan.names.index(name)}{part}{i}" if plan.layout == "csv" else f"{i}"
                    path = root.joinpath(*filter(None, folders), f"{stem}.{ending}")
                    seen = _saved(image, seen, path, plan, generator)
                    rows.append([str(path.relative_to(root)), name, spelt])
                meant.append((label, part, seen))
    if plan.layout == "npz":
        np.savez(root / "d.npz", **{key: np.stack(values) for key, values in arrays.items()})
        return root / "d.npz", meant
    if plan.layout == "csv":
        header = ["file", "label", "split"] if plan.parts else ["file", "label"]
        with (root / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header, *(row[: len(header)] for row in rows)])
    if plan.clutter:
        (root / "README.txt").write_text("pictures")
        (root / ".DS_Store").write_bytes(b"x")
        (root / ".ipynb_checkpoints").mkdir()
        Image.new("RGB", (9, 9)).save(root / ".ipynb_checkpoints" / "old.png")
    return root, meant


def _differences(found: Ingested, meant: list[tuple[str, str, np.ndarray]]) -> list[str]:
    """What the import has otherwise than meant."""
    left = [
        (found.classes[label], ("train", "validation", "test")[part], image.astype(float))
        for label, part, image in zip(found.labels, found.split, found.images, strict=True)
    ]
    problems = []
    given = {part for _, part, _ in meant} - {""}
    for label, part, seen in meant:
        near = [
            i
            for i, (own, _, image) in enumerate(left)
            if own == label and np.abs(image - seen).max() <= 1.0
        ]
        if not near:
            problems.append(f"{label} {part}: no such picture")
            continue
        own = left.pop(near[0])[1]
        free = (
            part == "train" and not {"validation", "test"} <= given
        )  # what lacks is drawn from it
        if part and own != part and not free:
            problems.append(f"{label}: of {part}, stored as {own}")
    return problems + [f"{label} {part}: not meant" for label, part, _ in left]


def _size(plan: Plan) -> Answers:
    """The pictures' own size, which is rounded to a multiple of four unless it is asked for."""
    return parse({"image_size": plan.side})


def _check(plan: Plan) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        source, meant = _make(plan, root)
        try:
            found = ingest(source, _size(plan))
        except InvalidData:  # refused, or asked: nothing silent
            return
        assert _differences(found, meant) == []
    finally:
        shutil.rmtree(root)


RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


@settings(max_examples=200, **RELAXED)
@given(plans())
def test_sources_are_read_as_meant_or_not_at_all(plan: Plan) -> None:
    _check(plan)


@pytest.mark.matrix
@settings(max_examples=2000, **RELAXED)
@given(plans())
def test_two_thousand_sources_are_read_as_meant_or_not_at_all(plan: Plan) -> None:
    _check(plan)


def test_most_plain_sources_are_read_and_not_asked_about(tmp_path: Path) -> None:
    """A check that never read anything would find no differences."""
    read = 0
    plain = [
        Plan(layout, ("cat", "dog"), parts, spelling, ("RGB",), 10, True, True, spelling)
        for layout in ("folders", "part/class", "class/part", "csv", "npz")
        for parts in ((), ("train", "test"), ("train", "validation", "test"))
        for spelling in range(7)
    ]
    for number, plan in enumerate(plain):
        root = tmp_path / str(number)
        root.mkdir()
        source, meant = _make(plan, root)
        assert _differences(ingest(source, _size(plan)), meant) == []
        read += 1
    assert read == len(plain)
