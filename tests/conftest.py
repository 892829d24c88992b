"""Fixtures that several folders share."""

from __future__ import annotations

import os

# Threads of two workers on two cores wait for one another at every operation: up to seventy times
# as long. Before numpy and torch, which read it once; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest

from nas_service.settings import Settings
from nas_service.space.base import ImageShape
from nas_service.space.cell import NasBench201Space
from nas_service.space.mbconv import MbconvSpace


@pytest.fixture(scope="session")
def bench_data() -> Path:
    folder = Settings().bench_data
    if not (folder / "README.md").exists():
        pytest.skip(f"no benchmark data at {folder}; set NAS_BENCH_DATA")
    return folder


@pytest.fixture(scope="session")
def mbconv() -> MbconvSpace:
    return MbconvSpace(ImageShape(32, 3, 10))


@pytest.fixture(scope="session")
def nasbench201() -> NasBench201Space:
    return NasBench201Space(ImageShape(32, 3, 10))


@pytest.fixture
def toy_arrays(tmp_path: Path) -> Path:
    """A learnable data set of 8x8 images: bright left or bright right half."""
    generator = np.random.default_rng(0)
    labels = np.arange(240) % 2
    images = generator.integers(0, 120, (240, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[:, :4] += 100 * (label == 0)
        image[:, 4:] += 100 * (label == 1)
    path = tmp_path / "toy.npz"
    np.savez(path, x=images.astype(np.uint8), y=labels)
    return path
