"""Every built-in passes the contract of its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from lookup_tables.blocks import Block
from lookup_tables.table import LookupTable
from lookup_tables.testing import TableContract
from nas_service.plugins import PREDICTORS, SPACES, load
from nas_service.space.base import ImageShape, SearchSpace
from nas_service.space.testing import SearchSpaceContract
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
