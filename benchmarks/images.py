"""Real images for benchmarks: CIFAR-10 of the bench data, or a data set that is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nas_service.datasets import ingest
from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data
from nas_service.learning.image_classification import data as training_data
from nas_service.settings import Settings
from nas_service.training.device import training_device


def images(given: Path | None, max_train: int, max_test: int | None = None) -> Data:
    """Training images by number, and as many test images.

    Raises:
        InvalidSpec: there is no such data set.
    """
    source = given or Settings().bench_data / "cifar10"
    if not source.exists():
        raise InvalidSpec(f"{source} does not exist; give --data or set NAS_BENCH_DATA")
    stored = Path("var/bench")
    stored.mkdir(parents=True, exist_ok=True)
    ingest.ingest(source).save(stored / "images.npz")
    device = training_device(Settings().training_device)
    data = training_data.load(stored / "images.npz", max_train=max_train, device=device)
    return replace(data, test=data.test.first(max_test or len(data.test)))
