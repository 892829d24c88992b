"""Pictures with masks as tensors."""

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
class MaskedImages(Images):
    """Splits of uint8 images `(n, c, s, s)` with masks of class numbers `(n, m, m)`."""

    n_classes: int = 0

    @property
    def task(self) -> LearningTask:
        """See `Data`."""
        return learning_task("segmentation")

    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        """See `Data.augmented`: half of them mirrored; nothing is shifted against its mask."""
        del shift
        return super().augmented(inputs, generator, shift=0, flip=flip)

    def mirrored_targets(self, targets: Tensor, mirrored: Tensor) -> Tensor:
        """See `Data.mirrored_targets`."""
        return torch.where(mirrored[:, None, None], targets.flip(2), targets)

    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """See `Data.require_model`."""
        theirs, pixels = self.train.inputs.shape[1], self.train.targets[0].numel()
        if shape[1] != theirs:
            raise InvalidData(
                f"the model takes {shape[1]} channels, the data set's pictures have {theirs}",
                field="dataset",
            )
        if n_outputs != self.n_classes * pixels:
            raise InvalidData(
                f"the model tells {n_outputs / pixels:g} classes apart at each of {pixels:,} "
                f"pixels, the masks have {self.n_classes}",
                field="dataset",
            )


def load(path: Path, *, max_train: int | None, device: torch.device) -> MaskedImages:
    """Read stored pictures, for networks on `device`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, masks, split = arrays["images"], arrays["masks"], arrays["split"]
            n_classes = int(arrays["n_classes"])
    except (ValueError, KeyError, OSError) as error:
        raise InvalidData(f"the stored data set cannot be read: {error}") from error
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    targets = torch.from_numpy(masks.astype(np.int64))
    train, validation, test = (Split(pixels[split == n], targets[split == n]) for n in range(3))
    if max_train is not None:
        train = train.first(max_train)
    mean, std = moments(train.inputs)
    return MaskedImages(train, validation, test, mean, std, device, n_classes)
