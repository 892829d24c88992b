"""Block family, space and task of masks keep the contracts of their kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookup_tables.blocks.mask_head import MaskHeadBlock
from lookup_tables.testing import BlockContract
from nas_service.learning.base import Data, LearningTask
from nas_service.learning.registry import learning_task
from nas_service.learning.segmentation.shape import MaskedImageShape
from nas_service.learning.testing import LearningTaskContract
from nas_service.networks.testing import BlockModuleContract
from nas_service.space.base import SearchSpace
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.testing import SearchSpaceContract

BLOCKS = [
    MaskHeadBlock(16, 8, 24, 3, 32),
    MaskHeadBlock(8, 7, 8, 2, 20),
    MaskHeadBlock(8, 16, 16, 5, 16),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.key)
class TestBlocks(BlockContract, BlockModuleContract):
    """Both halves of the family."""


@pytest.mark.parametrize("size", [16, 32, 96])
class TestSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self, size: int) -> SearchSpace:
        return MbconvSpace(MaskedImageShape(size, 3, 4, size))


def save_shapes(path: Path, n: int = 120, size: int = 24) -> Path:
    """Dark pictures with a red disc and a green square, and masks of 0, 1 and 2; edges unasked."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    images = generator.integers(0, 60, (n, size, size, 3))
    masks = np.zeros((n, size, size), np.uint8)
    for number in range(n):
        y, x = generator.uniform(5, size - 5, 2)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < generator.uniform(9, 25)
        top, left = generator.integers(0, size - 7, 2)
        square = np.zeros((size, size), dtype=bool)
        square[top : top + 7, left : left + 7] = True
        for shape, colour, kind in ((disc, 0, 1), (square, 1, 2)):
            images[number, shape] = generator.integers(0, 60, (int(shape.sum()), 3))
            images[number, shape, colour] += 150
            masks[number, shape] = kind
    masks[:, 0] = 255
    np.savez(path, x=images.astype(np.uint8), y=masks)
    return path


class TestTask(LearningTaskContract):
    @pytest.fixture
    def task(self) -> LearningTask:
        return learning_task("segmentation")

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return save_shapes(tmp_path / "shapes.npz")

    def _n_outputs(self, task: LearningTask, data: Data) -> int:
        del task, data
        return 3

    def _right(self, task: LearningTask, targets: np.ndarray, n_outputs: int) -> np.ndarray:
        """All weight on the class of each pixel; anything where nobody asks."""
        del task
        classes = np.minimum(targets, n_outputs - 1)
        return np.asarray(10.0 * np.eye(n_outputs)[classes].transpose(0, 3, 1, 2))

    def _guessed(self, targets: np.ndarray, n_outputs: int) -> np.ndarray:
        n, height, width = targets.shape
        return np.random.default_rng(0).standard_normal((n, n_outputs, height, width))
