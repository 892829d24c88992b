"""Block families, space and tasks on signals keep the contracts of their kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookup_tables.blocks.front_end import FrontEndBlock
from lookup_tables.blocks.temporal_conv import TemporalConvBlock
from lookup_tables.blocks.temporal_decoder import TemporalDecoderBlock
from lookup_tables.blocks.temporal_head import TemporalHeadBlock
from lookup_tables.blocks.temporal_separable import TemporalSeparableBlock
from lookup_tables.testing import BlockContract
from nas_service.learning.base import Data, LearningTask
from nas_service.learning.registry import learning_task
from nas_service.learning.signals.window import Window
from nas_service.learning.testing import LearningTaskContract
from nas_service.networks.testing import BlockModuleContract
from nas_service.space.base import SearchSpace
from nas_service.space.temporal import TemporalSpace
from nas_service.space.testing import SearchSpaceContract

BLOCKS = [
    FrontEndBlock(2, 100, 16, 5),
    FrontEndBlock(1, 400, 64, 20, 11),
    TemporalConvBlock(3, 8, 33, 5, 2),
    TemporalConvBlock(8, 8, 16, 3, dilation=2, residual=1),
    TemporalSeparableBlock(8, 12, 32, 9, 2, 2),
    TemporalSeparableBlock(8, 8, 17, 3, residual=1),
    TemporalHeadBlock(8, 16, 4),
    TemporalDecoderBlock(8, 13, 4, 16, 24),
    TemporalDecoderBlock(12, 5, 8, 12, 40),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.key)
class TestBlocks(BlockContract, BlockModuleContract):
    """Both halves of each family."""


@pytest.mark.parametrize("steps", [8, 29, 100, 256, 1000, 2047])
class TestSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self, steps: int) -> SearchSpace:
        return TemporalSpace(Window(steps, 6, 4))


def save_waves(path: Path, n: int = 120, *, numbers: bool = False) -> Path:
    """Windows of 32 steps and 2 channels: slow or fast waves, or the slope of a ramp."""
    generator = np.random.default_rng(0)
    time = np.linspace(0.0, 1.0, 32)
    x = generator.normal(0.0, 0.2, (n, 2, 32))
    if numbers:
        slope = generator.uniform(-1.0, 1.0, n)
        x[:, 0] += slope[:, None] * time
        y = 75.0 + 20.0 * slope  # as people have them: beats a minute, degrees
    else:
        fast = np.arange(n) % 2
        x[:, 0] += np.sin(2 * np.pi * (2 + 4 * fast)[:, None] * time)
        y = np.where(fast == 1, "fast", "slow")
    np.savez(path, x=x.astype(np.float32), y=y)
    return path


def save_beats(path: Path, n: int = 200) -> Path:
    """Windows of 40 steps and 2 channels: pulses somewhere, in one of five with a dip after it."""
    generator = np.random.default_rng(0)
    time = np.arange(40.0)
    place = generator.uniform(8.0, 24.0, n)[:, None]
    odd = np.arange(n) % 5 == 0
    pulse = np.exp(-(((time - place) / 2.0) ** 2))
    dip = np.exp(-(((time - place - 7.0) / 2.0) ** 2)) * odd[:, None]
    x = np.stack([pulse - dip, 0.5 * pulse], axis=1) + generator.normal(0.0, 0.05, (n, 2, 40))
    np.savez(path, x=x.astype(np.float32), y=np.where(odd, "skipped", "normal"))
    return path


class TestAnomalies(LearningTaskContract):
    @pytest.fixture
    def task(self) -> LearningTask:
        return learning_task("signal_anomalies")

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return save_beats(tmp_path / "beats.npz")

    def _n_outputs(self, task: LearningTask, data: Data) -> int:
        return super()._n_outputs(task, data) - 1

    def _right(self, task: LearningTask, targets: np.ndarray, n_outputs: int) -> np.ndarray:
        """Normal windows as they are, anomalies as something else."""
        del task, n_outputs
        return np.asarray(targets[:, :-1] + targets[:, -1:], dtype=np.float64)


@pytest.mark.parametrize("code", [1, 2, 16])
class TestSpaceOfAutoencoders(SearchSpaceContract):
    @pytest.fixture
    def space(self, code: int) -> SearchSpace:
        return TemporalSpace(Window(100, 6, 384, code))


@pytest.mark.parametrize("name", ["signal_classification", "signal_regression"])
class TestTasks(LearningTaskContract):
    @pytest.fixture
    def task(self, name: str) -> LearningTask:
        return learning_task(name)

    @pytest.fixture
    def source(self, name: str, tmp_path: Path) -> Path:
        return save_waves(tmp_path / "waves.npz", numbers=name == "signal_regression")
