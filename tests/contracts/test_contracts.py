"""Every built-in passes the contract of its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookup_tables.blocks import Block
from lookup_tables.ratio import Ratio
from lookup_tables.table import LookupTable
from lookup_tables.testing import TableContract
from nas_service.datasets import ingest
from nas_service.learning.image_classification import data
from nas_service.networks.supernet import Supernet
from nas_service.plugins import EVALUATORS, PREDICTORS, QUANTITIES, SAMPLERS, SPACES, load, names
from nas_service.search.accuracy import AccuracyEvaluator, TabularEvaluator
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
from nas_service.space.base import FloatArray, ImageShape, IntArray, SearchSpace
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import uniform
from nas_service.space.testing import SearchSpaceContract
from nas_service.training.loop import TrainRecipe
from nas_service.worker.evaluators import EvaluatorContext
from predictors.base import AccuracyPredictor
from predictors.testing import AccuracyPredictorContract
from tests.lookup_tables.tables import small_table


class TestLookupTable(TableContract):
    @pytest.fixture
    def source(self) -> LookupTable:
        return small_table()

    @pytest.fixture
    def blocks(self) -> Sequence[Block]:
        return [entry.block for entry in small_table().entries]


@pytest.mark.parametrize(
    "make",
    ["ridge", "forest", "gaussian_process", "boosting", "network", "ensemble"],
    indirect=True,
)
class TestPredictors(AccuracyPredictorContract):
    @pytest.fixture
    def make(self, request: pytest.FixtureRequest) -> Callable[[], AccuracyPredictor]:
        kind = load(PREDICTORS, request.param)
        return lambda: kind(seed=3, names=())


@pytest.mark.parametrize("space", ["mbconv", "nasbench201"], indirect=True)
class TestSpaces(SearchSpaceContract):
    @pytest.fixture
    def space(self, request: pytest.FixtureRequest) -> SearchSpace:
        found: SearchSpace = load(SPACES, request.param)(ImageShape(32, 3, 10))
        return found


@pytest.mark.parametrize(
    "sampler",
    [
        "guided",
        "exact",
        "random",
        "nsga2",
        pytest.param("tpe", marks=pytest.mark.matrix),
        pytest.param("nsga3", marks=pytest.mark.matrix),
    ],
    indirect=True,
)
class TestSamplers(SamplerContract):
    @pytest.fixture
    def sampler(self, request: pytest.FixtureRequest) -> SamplerFactory:
        found: SamplerFactory = load(SAMPLERS, request.param)
        return found


def _trainers(genotypes: IntArray, fidelity: float) -> FloatArray:
    """Trainers who find that a network is worth what its decisions sum up to."""
    return np.asarray((genotypes.sum(axis=1) % 10) / 10 * fidelity)


@pytest.mark.parametrize("evaluator", ["supernet", "standalone", "outside"], indirect=True)
class TestEvaluators(EvaluatorContract):
    @pytest.fixture
    def space(self) -> MbconvSpace:
        return MbconvSpace(ImageShape(8, 1, 2))

    @pytest.fixture
    def evaluator(
        self, request: pytest.FixtureRequest, space: MbconvSpace, toy_arrays: Path, tmp_path: Path
    ) -> AccuracyEvaluator:
        ingest.ingest(toy_arrays).save(tmp_path / "stored.npz")
        context = EvaluatorContext(
            space=space,
            data=data.load(tmp_path / "stored.npz"),
            recipe=TrainRecipe(epochs=1, batch=32, shift=0),
            metric="accuracy",
            supernet=Supernet(space, seed=1),
            ask_trainers=_trainers,
        )
        made: AccuracyEvaluator = load(EVALUATORS, request.param)(context)
        return made


class TestTabularEvaluator(EvaluatorContract):
    @pytest.fixture
    def space(self) -> MbconvSpace:
        return MbconvSpace(ImageShape(8, 1, 2))

    @pytest.fixture
    def evaluator(self, space: MbconvSpace) -> AccuracyEvaluator:
        rows = uniform(space, 3, np.random.default_rng(5))
        return TabularEvaluator(space, rows, np.array([0.2, 0.5, 0.9]))


@pytest.mark.parametrize("name", names(QUANTITIES))
class TestQuantities(QuantityContract):
    @pytest.fixture
    def quantity(self, name: str) -> Quantity:
        found: Quantity = load(QUANTITIES, name)()
        assert found.name == name
        return found

    @pytest.fixture
    def priced(self) -> Priced:
        space = MbconvSpace(ImageShape(16, 1, 4))
        plain = table_by_macs(space, FP32_AND_INT8[0])
        entries = tuple(replace(one, energy_mj=2.0 * one.p10_ms) for one in plain.entries)
        errors = (0.1, -0.05, 0.02, 0.08, -0.1, 0.03)
        ratios = {name: Ratio(1.2, errors) for name in ("energy_mj", "peak_memory_bytes")}
        cost = CostModel(space, replace(plain, entries=entries), None, ratios)
        return Priced(FP32_AND_INT8[0], space, cost)


def test_every_sampler_and_evaluator_of_ours_has_its_contract() -> None:
    text = Path(__file__).read_text()
    for name in (*names(SAMPLERS), *names(EVALUATORS)):
        assert f'"{name}"' in text or name == "gaussian_process"  # seconds a trial
