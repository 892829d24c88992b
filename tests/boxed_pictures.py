"""Pictures with boxes as people have them: COCO, YOLO and arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nas_service.learning.detection.ingested import BoxedPictures
from nas_service.learning.registry import learning_task

TASK = learning_task("detection")
SIZE = (64, 40)
"""Width and height of the pictures of these tests."""


def read(source: Path, **answers: Any) -> BoxedPictures:
    found = TASK.ingest(source, answers, tell=lambda *_: None, within=[source.parent], threads=1)
    assert isinstance(found, BoxedPictures)
    return found


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3))
    Image.fromarray(noise.astype(np.uint8)).save(path)


def coco(n: int = 12) -> dict[str, Any]:
    return {
        "images": [
            {"id": 100 + k, "file_name": f"p{k:02d}.png", "width": SIZE[0], "height": SIZE[1]}
            for k in range(n)
        ],
        "annotations": [
            {
                "id": k,
                "image_id": 100 + k % n,
                "category_id": (7, 3)[k % 2],
                "bbox": [8.0, 4.0, 16.0, 20.0],
                "iscrowd": 0,
            }
            for k in range(2 * n - 4)
        ],
        "categories": [
            {"id": 3, "name": "cat"},
            {"id": 5, "name": "bird"},
            {"id": 7, "name": "dog"},
        ],
    }


def save_coco(folder: Path, told: dict[str, Any] | str, *, absent: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = told if isinstance(told, str) else json.dumps(told)
    (folder / "annotations.json").write_text(text)
    for k in range(12 - absent):
        picture(folder / "images" / f"p{k:02d}.png", k)
    return folder


def yolo(folder: Path, n: int = 12, parts: tuple[str, ...] = ("",)) -> Path:
    for number, part in enumerate(parts):
        for k in range(n):
            picture(folder / "images" / part / f"p{k:02d}.png", k + 100 * number)
            label = folder / "labels" / part / f"p{k:02d}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(f"{k % 2} 0.25 0.5 0.25 0.4\n1 0.75 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text("train: images/train\nnames: {0: cat, 1: dog, 2: bird}\n")
    return folder


def arrays(path: Path, **changed: Any) -> Path:
    generator = np.random.default_rng(0)
    given = {
        "x": generator.integers(0, 256, (15, 40, 64, 3)).astype(np.uint8),
        "boxes": np.tile([[8, 4, 24, 24]], (15, 1)),
        "picture": np.arange(15),
        "y": np.array(["cat", "dog", "cat"] * 5),
        **changed,
    }
    np.savez(path, **{name: one for name, one in given.items() if one is not None})
    return path
