"""Scenes composed of real pictures: things on textures, with COCO's annotations.

The pictures are those that ship inside scikit-image: a cat, a cup, a face and a photographer, cut
out as rectangles, on grass, gravel, bricks and stars. A thing is mirrored, turned by up to 12
degrees, trimmed by up to an eighth a side, made lighter or darker and 22 to 60 % of the scene
large. Test scenes have textures from halves of their pictures that no other scene has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("cat", "cup", "face", "photographer")
_THINGS = {
    "cat": ("chelsea.png", (110, 20, 335, 235)),
    "cup": ("coffee.png", (130, 60, 420, 320)),
    "face": ("astronaut.png", (165, 45, 285, 215)),
    "photographer": ("camera.png", (150, 50, 340, 260)),
}
"""A picture, and left, top, right and bottom of what is cut out of it."""
_TEXTURES = ("grass.png", "gravel.png", "brick.png", "hubble_deep_field.jpg")
_LARGE = (0.22, 0.6)
_TURN = 12.0
_TRIM = 0.125


def save_scenes(pictures: Path, folder: Path, *, n: int, side: int, seed: int) -> Path:
    """Write `n` scenes of `side` pixels into parts of a fifth for validation and for testing each.

    `pictures` is the folder `skimage/data`.
    """
    generator = np.random.default_rng(seed)
    things = {
        name: Image.open(pictures / file).convert("RGB").crop(box)
        for name, (file, box) in _THINGS.items()
    }
    textures = [Image.open(pictures / file).convert("RGB") for file in _TEXTURES]
    counts = {"train": n - 2 * (n // 5), "validation": n // 5, "test": n // 5}
    for part, count in counts.items():
        (folder / part).mkdir(parents=True)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            scene = _background(textures, generator, side, part == "test")
            name = f"{number:05d}.png"
            images.append({"id": number, "file_name": name, "width": side, "height": side})
            for label, box in _placed(scene, things, generator):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": CLASSES.index(label) + 1,
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": 0,
                    }
                )
            scene.save(folder / part / name)
        categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES, start=1)]
        told = {"images": images, "annotations": annotations, "categories": categories}
        (folder / part / "annotations.json").write_text(json.dumps(told))
    return folder


def _background(
    textures: list[Image.Image], generator: np.random.Generator, side: int, test: bool
) -> Image.Image:
    """A piece of a texture: of its right half for testing, else of its left one."""
    texture = textures[int(generator.integers(len(textures)))]
    half = texture.width // 2
    size = int(min(half, texture.height) * generator.uniform(0.4, 1.0))
    left = int(generator.integers(0, half - size + 1)) + (half if test else 0)
    top = int(generator.integers(0, texture.height - size + 1))
    piece = texture.crop((left, top, left + size, top + size))
    return piece.resize((side, side), Image.Resampling.BILINEAR)


def _placed(
    scene: Image.Image, things: dict[str, Image.Image], generator: np.random.Generator
) -> list[tuple[str, list[int]]]:
    """Up to three things that overlap little: their names and boxes (left, top, width, height)."""
    found: list[tuple[str, list[int]]] = []
    for _ in range(int(generator.integers(1, 4))):
        label = CLASSES[int(generator.integers(len(CLASSES)))]
        thing = _changed(things[label], generator, scene.width)
        for _ in range(10):
            left = int(generator.integers(0, scene.width - thing.width + 1))
            top = int(generator.integers(0, scene.height - thing.height + 1))
            box = [left, top, thing.width, thing.height]
            if all(_shared(box, other) < 0.1 for _, other in found):
                scene.paste(thing, (left, top))
                found.append((label, box))
                break
    return found


def _changed(thing: Image.Image, generator: np.random.Generator, side: int) -> Image.Image:
    made = thing.rotate(float(generator.uniform(-_TURN, _TURN)), Image.Resampling.BILINEAR)
    # what turning leaves black is cut away, and a little more
    inner = 0.09
    cut = inner + _TRIM * generator.random(4)
    width, height = made.size
    left, top = cut[0] * width, cut[1] * height
    made = made.crop((int(left), int(top), int((1 - cut[2]) * width), int((1 - cut[3]) * height)))
    if generator.random() < 0.5:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    longest = generator.uniform(*_LARGE) * side
    scale = longest / max(made.size)
    size = (max(4, int(made.width * scale)), max(4, int(made.height * scale)))
    made = made.resize(size, Image.Resampling.BILINEAR)
    light = float(generator.uniform(0.6, 1.4))
    return made.point(lambda level: min(255, int(level * light)))


def _shared(one: list[int], other: list[int]) -> float:
    """Share of the smaller box that lies on the other."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    smaller = min(one[2] * one[3], other[2] * other[3])
    return max(0, width) * max(0, height) / smaller
