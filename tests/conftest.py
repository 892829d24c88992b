"""Fixtures that several folders share."""

from __future__ import annotations

import os
import sys

# Threads of two workers on two cores wait for one another at every operation: up to seventy times
# as long. Before numpy and torch, which read it once; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from nas_service.settings import Settings
from nas_service.space.base import ImageShape
from nas_service.space.cell import NasBench201Space
from nas_service.space.mbconv import MbconvSpace
from tests.prepared import prepared_folder
from tests.tools import lacks
from tests.toy_search import save_toy_arrays

settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how fast inputs are made is the machine's business


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `make test-all` runs beside the rest: see the marker `matrix`."""
    if os.environ.get("NAS_TEST_MATRIX"):
        return
    left_out = [one for one in items if one.get_closest_marker("matrix")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [one for one in items if not one.get_closest_marker("matrix")]


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
    """See `save_toy_arrays`."""
    save_toy_arrays(tmp_path / "toy.npz")
    return tmp_path / "toy.npz"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `tests.prepared`; to be copied, not used."""
    return prepared_folder(tmp_path_factory)


@pytest.fixture(scope="session")
def _beside() -> Path:
    """Where `make toolchains` puts torchvision."""
    folder = Path(sys.prefix) / "torchvision"
    if not folder.is_dir():
        lacks("torchvision is not installed: make toolchains")
    return folder


@pytest.fixture
def torchvision(_beside: Path) -> Iterator[None]:
    """torchvision on the path."""
    sys.path.insert(0, str(_beside))
    yield
    sys.path.remove(str(_beside))
