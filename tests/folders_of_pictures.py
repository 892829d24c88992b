"""Folders of small pictures, each unlike the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_service.datasets.ingest import Ingested
from nas_service.datasets.report import Undecided


def noise(seed: int, tint: int = 0, side: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    pixels[..., tint] = 255
    return Image.fromarray(pixels)


def folders(root: Path, *parts: str, n: int = 12, ending: str = ".png") -> Path:
    """`n` different pictures in each of `parts` below root."""
    for number, part in enumerate(parts):
        (root / part).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            noise(1000 * number + i, number % 3).save(root / part / f"{number}_{i:03d}{ending}")
    return root


def counts(found: Ingested) -> list[int]:
    return np.bincount(found.split, minlength=3).tolist()


def question(error: pytest.ExceptionInfo[Undecided]) -> dict[str, str]:
    """Options that answer the first question, by what they mean."""
    question = error.value.fields["questions"][0]
    return {one["option"]: one["meaning"] for one in question["alternatives"]}


X = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)


Y = np.arange(60) % 3
