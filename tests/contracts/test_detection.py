"""Block family, space and task of boxes keep the contracts of their kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookup_tables.blocks.box_head import BoxHeadBlock, cells_of
from lookup_tables.testing import BlockContract
from nas_service.learning.base import Data, LearningTask
from nas_service.learning.detection.shape import BoxedImageShape
from nas_service.learning.registry import learning_task
from nas_service.learning.testing import LearningTaskContract
from nas_service.networks.testing import BlockModuleContract
from nas_service.space.base import SearchSpace
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.testing import SearchSpaceContract
from tests.scenes import answers_to, save_scenes

BLOCKS = [
    BoxHeadBlock(16, 8, 24, 3, 8),
    BoxHeadBlock(8, 7, 8, 1, 9),
    BoxHeadBlock(8, 12, 16, 5, 11),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.key)
class TestBlocks(BlockContract, BlockModuleContract):
    """Both halves of the family."""


@pytest.mark.parametrize(("size", "classes"), [(32, 1), (48, 3), (100, 20)])
class TestSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self, size: int, classes: int) -> SearchSpace:
        return MbconvSpace(BoxedImageShape(size, 3, classes))  # type: ignore[arg-type]  # as plug-ins are called


class TestTask(LearningTaskContract):
    @pytest.fixture
    def task(self) -> LearningTask:
        return learning_task("detection")

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return save_scenes(tmp_path / "scenes.npz")

    def _n_outputs(self, task: LearningTask, data: Data) -> int:
        del task, data
        return 2

    def _right(self, task: LearningTask, targets: np.ndarray, n_outputs: int) -> np.ndarray:
        """Each box told by the cell of the finer map that its middle is in."""
        del task
        return answers_to(targets, n_outputs, 12)

    def _guessed(self, targets: np.ndarray, n_outputs: int) -> np.ndarray:
        shape = (len(targets), n_outputs + 4, cells_of(12))
        return np.random.default_rng(0).standard_normal(shape)
