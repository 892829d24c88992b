"""Image classification: one of several classes for each image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_service.learning.base import Data, Ingested, Progress
from nas_service.learning.classification.task import ClassificationTask
from nas_service.space.base import ImageShape, Sample

if TYPE_CHECKING:
    import torch


class ImageClassification(ClassificationTask):
    """See `ClassificationTask`; samples are images."""

    name = "image_classification"
    label = "image classification"
    sample_name = "image"
    samples = "images"
    usual_space = "mbconv"

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

    def stored(self, facts: Mapping[str, Any]) -> str:
        """See `LearningTask.stored`."""
        colours = "grey" if facts["channels"] == 1 else "RGB"
        return f"{facts['size']}x{facts['size']} pixels, {colours}"

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

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`; `preprocess.py` carries it out."""
        from nas_service.learning.image_classification.data import Images

        assert isinstance(data, Images)
        reading = facts.get("reading") or {}
        return {
            "size": size,
            "channels": data.example(size)[1],
            "stored_size": int(facts["size"]),
            "background": reading.get("background", "#ffffff"),
            "value_range": reading.get("value_range"),
            "cut": "middle square",
            "resize": "bilinear, antialiased",
            "scale": 1 / 255,
            "mean": list(data.mean),
            "std": list(data.std),
            "layout": "NCHW",
            "code": "preprocess.py",
        }

    def bundle_files(self, facts: Mapping[str, Any]) -> Mapping[str, str]:
        """See `LearningTask.bundle_files`."""
        templates = files("nas_service").joinpath("templates")
        names = ("verify.py", "preprocess.py")
        code = {name: templates.joinpath(name).read_text() for name in names}
        return {"class_names.json": json.dumps(facts["classes"]), **code}
