from pathlib import Path

import pytest

from nas_service.datasets import ingest
from nas_service.learning.base import Data
from nas_service.learning.image_classification.data import load


@pytest.fixture
def toy(tmp_path: Path, toy_arrays: Path) -> Data:
    ingest.ingest(toy_arrays).save(tmp_path / "stored.npz")
    return load(tmp_path / "stored.npz")
