"""Segmentation: the class of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_service.learning.base import Array, Data, Ingested, Progress, TrainingSize
from nas_service.learning.images import ImageTask, square_answers
from nas_service.learning.metric import Judged, Metric
from nas_service.learning.outputs import LogitsTask
from nas_service.learning.segmentation.metrics import IGNORED, METRICS, Masks, iou_of
from nas_service.learning.segmentation.shape import (
    MASKED_IMAGE,
    MAX_SIDE,
    MIN_SIDE,
    MaskedImageShape,
)
from nas_service.space.base import Sample

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Segmentation(ImageTask, LogitsTask):
    """Outputs are logits `(n, classes, side, side)`, targets class numbers `(n, side, side)`."""

    name = "segmentation"
    label = "segmentation"
    sample_name = MASKED_IMAGE
    metrics = METRICS
    training = TrainingSize(
        samples=6_500, most_epochs=60, finetune_steps=100, most_finetune_epochs=30
    )

    def answers(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.answers`: how large pictures are, and whether parts are drawn."""
        return square_answers(values, "masks", MIN_SIDE, MAX_SIDE)

    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Ingested:
        """See `LearningTask.ingest`: an `.npz`, or a folder of pictures and one of masks."""
        from nas_service.learning.segmentation.ingested import read

        del threads
        side = answers.get("image_size")
        draws = answers.get("split") == "draw"
        return read(source, None if side is None else int(side), draws, tell=tell, within=within)

    def sample(self, facts: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample`."""
        return MaskedImageShape(
            int(facts["size"]),
            int(facts["channels"]),
            len(facts["classes"]),
            int(facts["mask_side"]),
        )

    def sample_of(self, values: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample_of`."""
        return MaskedImageShape(**values)

    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        """See `LearningTask.load`."""
        from nas_service.learning.segmentation.data import load

        return load(path, max_train=max_train, device=device)

    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """See `LearningTask.loss`: cross entropy, over the pixels that are asked about."""
        from torch.nn import functional

        asked = (targets != IGNORED).sum().clamp_min(1)
        total = functional.cross_entropy(
            outputs, targets, ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum"
        )
        return total / asked

    def judge(self, outputs: Array, targets: Array) -> Judged:
        """See `LearningTask.judge`."""
        return Masks.of(outputs.argmax(axis=1), targets, outputs.shape[1])

    def agreement(self, outputs: Array, reference: Array) -> float:
        """See `LearningTask.agreement`: the share of pixels with the same class."""
        return float((outputs.argmax(axis=1) == reference.argmax(axis=1)).mean())

    def hopeless(self, metric: Metric, judged: Judged) -> bool:
        """See `LearningTask.hopeless`: no better than naming the commonest class everywhere."""
        assert isinstance(judged, Masks)
        asked = judged.total.sum(axis=1)
        guess = np.zeros_like(judged.total)
        guess[:, asked.argmax()] = asked
        return metric.value(judged) <= metric.value(Masks(guess[None]))

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.details`: both metrics, and each class by itself."""
        assert isinstance(judged, Masks)
        found = iou_of(judged.total)
        return {
            "segmentation": {
                "miou": round(judged.miou, 4),
                "pixel_accuracy": round(judged.pixel_accuracy, 4),
                "iou": {
                    name: round(float(value), 4) if np.isfinite(value) else None
                    for name, value in zip(facts["classes"], found, strict=True)
                },
            }
        }

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`; the output is a logit a class and pixel of the mask."""
        told = super().preprocessing(facts, data, size)
        return {
            **told,
            "mask_side": int(facts["mask_side"]),
            "mask_values": list(facts["mask_values"]),
        }
