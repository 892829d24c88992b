"""The contracts that the example's plug-ins keep; run where the example is installed.

pytest tests/growth/contracts.py
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from growth_example.blocks import Conv1dBlock, MeanHeadBlock
from growth_example.predictor import NearestPredictor
from growth_example.sampler import halton
from growth_example.space import WindowSpace
from growth_example.task import Window, WindowRegression, load

from lookup_tables.blocks import Block
from lookup_tables.target import Target
from lookup_tables.testing import BlockContract, RuntimeContract
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.testing import ConverterContract, Reference
from nas_service.learning.base import LearningTask
from nas_service.learning.testing import LearningTaskContract
from nas_service.networks.build import build
from nas_service.networks.export import export
from nas_service.networks.testing import BlockModuleContract, as_if_trained
from nas_service.plugins import CONVERTERS, EVALUATORS, QUANTITIES
from nas_service.plugins import load as load_plugin
from nas_service.search.accuracy import AccuracyEvaluator
from nas_service.search.cost import CostModel
from nas_service.search.quantities.base import Priced, Quantity
from nas_service.search.samplers import SamplerFactory
from nas_service.search.spec import FP32_AND_INT8
from nas_service.search.testing import (
    EvaluatorContract,
    QuantityContract,
    SamplerContract,
    table_by_macs,
)
from nas_service.space.testing import SearchSpaceContract
from nas_service.training.loop import TrainRecipe
from nas_service.worker.evaluators import EvaluatorContext
from predictors.testing import AccuracyPredictorContract

SAMPLE = Window(32, 2)


def save_windows(path: Path, n: int = 240) -> Path:
    """The slope of a noisy ramp, in one of two channels."""
    generator = np.random.default_rng(0)
    slope = generator.uniform(-1.0, 1.0, n)
    time = np.linspace(-1.0, 1.0, SAMPLE.size)
    x = generator.normal(0.0, 0.2, (n, SAMPLE.channels, SAMPLE.size))
    x[:, 0] += slope[:, None] * time
    np.savez(path, x=x.astype(np.float32), y=slope.astype(np.float32))
    return path


@pytest.mark.parametrize(
    "block",
    [Conv1dBlock(3, 8, 33, 5, 2), Conv1dBlock(8, 8, 16, 3), MeanHeadBlock(8, 16)],
    ids=lambda block: block.key,
)
class TestBlocks(BlockContract, BlockModuleContract):
    """Both halves of both families."""


class TestSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> WindowSpace:
        return WindowSpace(SAMPLE)


class TestTask(LearningTaskContract):
    @pytest.fixture
    def task(self) -> LearningTask:
        return WindowRegression()

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return save_windows(tmp_path / "windows.npz")


class TestQuantity(QuantityContract):
    @pytest.fixture
    def quantity(self) -> Quantity:
        made: Quantity = load_plugin(QUANTITIES, "footprint_bytes")()
        return made

    @pytest.fixture
    def priced(self) -> Priced:
        space, fp32 = WindowSpace(SAMPLE), FP32_AND_INT8[0]
        return Priced(fp32, space, CostModel(space, table_by_macs(space, fp32), None))


class TestSampler(SamplerContract):
    @pytest.fixture
    def sampler(self) -> SamplerFactory:
        return halton


class TestPredictor(AccuracyPredictorContract):
    @pytest.fixture
    def make(self) -> Any:
        return lambda: NearestPredictor(seed=3, names=())


class TestEvaluator(EvaluatorContract):
    @pytest.fixture
    def space(self) -> WindowSpace:
        return WindowSpace(SAMPLE)

    @pytest.fixture
    def evaluator(self, space: WindowSpace, tmp_path: Path) -> AccuracyEvaluator:
        context = EvaluatorContext(space, _data(tmp_path), TrainRecipe(epochs=2, batch=32), "r2")
        made: AccuracyEvaluator = load_plugin(EVALUATORS, "brief")(context)
        return made


def _data(folder: Path) -> Any:
    import torch

    source = save_windows(folder / "windows.npz")
    quiet = SimpleNamespace(answers={}, tell=lambda *_: None, within=[folder], threads=1)
    WindowRegression().ingest(source, **vars(quiet)).save(folder / "stored.npz")
    return load(folder / "stored.npz", None, torch.device("cpu"))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reference]:
    import torch

    space = WindowSpace(SAMPLE)
    network = build(space, space.largest(), seed=0).eval()
    as_if_trained(network, 0)
    path = tmp_path_factory.mktemp("graph") / "m.onnx"
    export(network, path, SAMPLE.input_shape(SAMPLE.size))
    samples = torch.randn(16, *SAMPLE.input_shape(SAMPLE.size)[1:])
    with torch.no_grad():
        return path, (samples.numpy(), network(samples).numpy())


class TestRuntime(RuntimeContract):
    @pytest.fixture
    def name(self) -> str:
        return "onnx-reference"

    @pytest.fixture
    def target(self) -> Target:
        return Target("here", "onnx-reference", "1", "fp32")

    @pytest.fixture
    def model_file(self, graph: Any, target: Target, tmp_path: Path) -> Path:
        converter: Converter = load_plugin(CONVERTERS, "onnx-reference")()
        return converter.compile(Source(graph[0]), target, tmp_path).path


class TestConverter(ConverterContract):
    @pytest.fixture
    def converter(self) -> Converter:
        made: Converter = load_plugin(CONVERTERS, "onnx-reference")()
        return made

    @pytest.fixture
    def source(self, graph: Any) -> Source:
        return Source(graph[0])

    @pytest.fixture
    def reference(self, graph: Any) -> Reference:
        found: Reference = graph[1]
        return found


def test_every_block_is_one_of_a_family() -> None:
    space = WindowSpace(SAMPLE)
    assert all(isinstance(one.block, Block) for one in space.wire(space.largest()))
