"""Pictures with boxes as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_service.errors import InvalidData
from nas_service.learning.base import LearningTask, Split
from nas_service.learning.image_classification.data import Images, moments
from nas_service.learning.registry import learning_task


@dataclass(frozen=True)
class BoxedImages(Images):
    """Splits of uint8 images `(n, c, s, s)` with rows of class, x1, y1, x2, y2 `(n, k, 5)`."""

    @property
    def task(self) -> LearningTask:
        """See `Data`."""
        return learning_task("detection")

    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        """See `Data.augmented`: half of them mirrored; nothing is shifted against its boxes."""
        del shift
        return super().augmented(inputs, generator, shift=0, flip=flip)

    def mirrored_targets(self, targets: Tensor, mirrored: Tensor) -> Tensor:
        """See `Data.mirrored_targets`: left and right sides change places."""
        label, x1, y1, x2, y2 = targets.unbind(-1)
        turned = torch.stack([label, 1.0 - x2, y1, 1.0 - x1, y2], dim=-1)
        return torch.where(mirrored[:, None, None], turned, targets)

    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """See `Data.require_model`."""
        del shape, n_outputs
        raise InvalidData(
            "models of your own are not searched for boxes; `nas compress MODEL.onnx --samples` "
            "compresses one, judged by map50",
            field="dataset",
        )


def load(path: Path, *, max_train: int | None, device: torch.device) -> BoxedImages:
    """Read stored pictures, for networks on `device`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, boxes, split = arrays["images"], arrays["boxes"], arrays["split"]
    except (ValueError, KeyError, OSError) as error:
        raise InvalidData(f"the stored data set cannot be read: {error}") from error
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    targets = torch.from_numpy(boxes)
    train, validation, test = (Split(pixels[split == n], targets[split == n]) for n in range(3))
    if max_train is not None:
        train = train.first(max_train)
    mean, std = moments(train.inputs)
    return BoxedImages(train, validation, test, mean, std, device)
