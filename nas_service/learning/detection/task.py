"""Detection: what is in a picture, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookup_tables.blocks.box_head import SIDES
from nas_service.learning.base import Array, Data, Ingested, Progress, TrainingSize
from nas_service.learning.detection.boxes import Detections, met
from nas_service.learning.detection.cells import detections_of
from nas_service.learning.detection.metrics import METRICS, Boxes
from nas_service.learning.detection.shape import (
    BOXED_IMAGE,
    MAX_SIDE,
    MIN_SIDE,
    BoxedImageShape,
)
from nas_service.learning.images import ImageTask, square_answers
from nas_service.learning.metric import Judged
from nas_service.space.base import Sample

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SURE = 0.25
"""The score of boxes that are taken for found where nobody says from which on."""


class Detection(ImageTask):
    """Outputs are scores and distances `(n, classes + 4, cells)`, see `box_head`.

    Targets are rows of class, x1, y1, x2, y2 as shares of the picture `(n, k, 5)`, of class -1
    where there are fewer.
    """

    name = "detection"
    label = "detection"
    sample_name = BOXED_IMAGE
    metrics = METRICS
    cut = "whole picture, stretched"
    training = TrainingSize(
        samples=8_000, most_epochs=60, finetune_steps=120, most_finetune_epochs=30
    )

    def answers(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.answers`: how large pictures are, and whether parts are drawn."""
        return square_answers(values, "boxes", MIN_SIDE, MAX_SIDE)

    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Ingested:
        """See `LearningTask.ingest`: COCO's or YOLO's files, or an `.npz`."""
        from nas_service.learning.detection.ingested import read

        del threads
        side = answers.get("image_size")
        draws = answers.get("split") == "draw"
        return read(source, None if side is None else int(side), draws, tell=tell, within=within)

    def sample(self, facts: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample`."""
        return BoxedImageShape(int(facts["size"]), int(facts["channels"]), len(facts["classes"]))

    def sample_of(self, values: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample_of`."""
        return BoxedImageShape(**values)

    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        """See `LearningTask.load`."""
        from nas_service.learning.detection.data import load

        return load(path, max_train=max_train, device=device)

    def preview(self, path: Path) -> bytes | None:
        """See `LearningTask.preview`: some pictures with their boxes."""
        from nas_service.learning.detection.preview import sheet

        return sheet(path)

    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """See `LearningTask.loss`; scores are taught by overlaps, and not smoothed."""
        from nas_service.learning.detection.loss import loss_of

        del smoothing
        return loss_of(outputs, targets)

    def distillation_loss(
        self, outputs: Tensor, answers: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """See `LearningTask.distillation_loss`: scores, and boxes where there are any."""
        from nas_service.learning.detection.loss import imitation_loss

        del temperature
        return imitation_loss(outputs, answers.detach())

    def mean_answer(self, answers: Tensor) -> Tensor:
        """See `LearningTask.mean_answer`: mean scores, mean distances."""
        import torch

        scores = torch.sigmoid(answers[:, :, :-SIDES]).mean(0).clamp(1e-6, 1.0 - 1e-6)
        return torch.cat([torch.logit(scores), answers[:, :, -SIDES:].mean(0)], dim=1)

    def judge(self, outputs: Array, targets: Array) -> Judged:
        """See `LearningTask.judge`."""
        right = Detections.true(targets)
        return Boxes.of(detections_of(outputs), right, outputs.shape[1] - SIDES)

    def agreement(self, outputs: Array, reference: Array) -> float:
        """See `LearningTask.agreement`: the share of either's boxes that the other has as well.

        Those above `SURE`, which the other may score half as high: a box on the edge of being
        told is no disagreement.
        """
        one, other = detections_of(outputs), detections_of(reference)
        least = np.array([0.5])
        found = total = 0
        for mine, theirs in ((one, other), (other, one)):
            sure = mine.above(SURE)
            found += int((met(sure, theirs.above(SURE / 2), least)[0] & (sure.classes >= 0)).sum())
            total += int((sure.classes >= 0).sum())
        return found / total if total else 1.0

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.details`: both metrics, each class, and what a usual cut gives."""
        assert isinstance(judged, Boxes)
        found = judged.by_class()
        recall, precision = judged.recall(SURE)
        return {
            "detection": {
                "map50": round(judged.map50, 4),
                "map": round(judged.map, 4),
                "score": SURE,
                "recall": round(recall, 4),
                "precision": round(precision, 4),
                "ap50": {
                    name: round(float(value), 4) if np.isfinite(value) else None
                    for name, value in zip(facts["classes"], found, strict=True)
                },
            }
        }

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`; `detections.py` reads scores and boxes."""
        told = super().preprocessing(facts, data, size)
        grid = BoxedImageShape(int(facts["size"]), int(facts["channels"]), 1).grid
        return {
            **told,
            "grid": grid,
            "outputs": ["scores", "boxes"],
            "class_numbers": list(facts["class_numbers"]),
        }

    def bundle_files(self, facts: Mapping[str, Any]) -> Mapping[str, str]:
        """See `LearningTask.bundle_files`."""
        code = files("nas_service").joinpath("templates", "detections.py").read_text()
        return {**super().bundle_files(facts), "detections.py": code}
