"""Image classification: one of several classes for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_service.learning.base import Data, Ingested, Progress
from nas_service.learning.classification.task import ClassificationTask
from nas_service.learning.images import ImageTask
from nas_service.space.base import ImageShape, Sample

if TYPE_CHECKING:
    import torch


class ImageClassification(ImageTask, ClassificationTask):
    """See `ClassificationTask` and `ImageTask`."""

    name = "image_classification"
    label = "image classification"
    sample_name = "image"

    def answers(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.answers`."""
        from nas_service.datasets.answers import parse

        return parse(values).as_dict()

    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Ingested:
        """See `LearningTask.ingest`."""
        from nas_service.datasets import answers as given
        from nas_service.datasets import ingest

        parsed = given.parse(dict(answers))
        return ingest.ingest(source, parsed, tell=tell, within=within, threads=threads)

    def sample(self, facts: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample`."""
        return ImageShape(int(facts["size"]), int(facts["channels"]), len(facts["classes"]))

    def sample_of(self, values: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample_of`."""
        return ImageShape(**values)

    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        """See `LearningTask.load`."""
        from nas_service.learning.image_classification.data import load

        return load(path, max_train=max_train, device=device)

    def preview(self, path: Path) -> bytes | None:
        """See `LearningTask.preview`: some images of each class."""
        from nas_service.learning.image_classification.preview import sheet

        return sheet(path)
