"""Images as tensors, with splits fixed by their digest.

The stored form is one `.npz` of uint8 images `(n, size, size, channels)`, integer labels and a
split number an image (0 train, 1 validation, 2 test). It is read without unpickling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from nas_service.errors import InvalidData
from nas_service.learning.base import Data, LearningTask, Split
from nas_service.learning.image_classification.policies import varied
from nas_service.learning.registry import learning_task

CPU = torch.device("cpu")

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class Images(Data):
    """Splits of uint8 images `(n, c, s, s)` with class numbers `(n,)`.

    `mean` and `std` are those of training pixels by channel.
    """

    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device = CPU

    @property
    def task(self) -> LearningTask:
        """See `Data`."""
        return learning_task("image_classification")

    def prepared(self, inputs: Tensor, size: int) -> Tensor:
        """Normalised floats at `size` pixels a side, channels last, where the images are."""
        mean = torch.tensor(self.mean, device=inputs.device)[None, :, None, None]
        std = torch.tensor(self.std, device=inputs.device)[None, :, None, None]
        x = (inputs.float() / 255.0 - mean) / std
        if x.shape[-1] != size:
            x = functional.interpolate(
                x, size=(size, size), mode="bilinear", align_corners=False, antialias=True
            )
        return x.contiguous(memory_format=torch.channels_last)

    def example(self, size: int) -> tuple[int, ...]:
        """See `Data.example`."""
        return (1, self.train.inputs.shape[1], size, size)

    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        """See `Data.augmented`: shifted by up to `shift` pixels, half of them mirrored."""
        return augment(inputs, generator, shift=shift, flip=flip)

    def varied(self, inputs: Tensor, generator: torch.Generator, policy: str) -> Tensor:
        """See `Data.varied`; pictures with masks or boxes, which would not follow, are refused."""
        if type(self) is not Images:
            return super().varied(inputs, generator, policy)
        return varied(inputs, policy, generator)

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> Images:
        """See `Data.normalised`."""
        self.require_one_a_channel(mean, std)
        return replace(self, mean=tuple(mean), std=tuple(std))

    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """See `Data.require_model`."""
        theirs, classes = self.train.inputs.shape[1], int(self.train.targets.max()) + 1
        if shape[1] != theirs:
            raise InvalidData(
                f"the model takes {shape[1]} channels, the data set's images have {theirs}",
                field="dataset",
            )
        if n_outputs < classes:
            raise InvalidData(
                f"the model tells {n_outputs} classes apart, the data set has {classes}",
                field="dataset",
            )

    def mirrored(self, inputs: Tensor) -> Tensor:
        """See `Data.mirrored`: left and right change places."""
        return inputs.flip(3)


def load(path: Path, *, max_train: int | None = None, device: torch.device = CPU) -> Images:
    """Read stored images, for networks on `device`.

    `max_train` keeps the first so many training images.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels, split = arrays["images"], arrays["labels"], arrays["split"]
    except (ValueError, KeyError, OSError) as error:
        raise InvalidData(f"the stored data set cannot be read: {error}") from error
    train, validation, test = (
        _split(images[split == part], labels[split == part]) for part in (TRAIN, VALIDATION, TEST)
    )
    if max_train is not None:
        train = train.first(max_train)
    mean, std = moments(train.inputs)
    return Images(train, validation, test, mean, std, device)


def moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of pixels from 0 to 1 by channel, without a copy as floats."""
    counts = torch.zeros(images.shape[1], 256, dtype=torch.float64)
    for start in range(0, len(images), 1000):
        for channel in range(images.shape[1]):
            levels = images[start : start + 1000, channel].flatten()
            counts[channel] += torch.bincount(levels, minlength=256)
    values = torch.arange(256, dtype=torch.float64) / 255.0
    n = counts.sum(1)
    mean = counts @ values / n
    variance = (counts @ values**2 - n * mean**2).clamp_min(0.0) / (n - 1.0).clamp_min(1.0)
    return tuple(mean.tolist()), tuple(variance.sqrt().clamp_min(1e-3).tolist())


def _split(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Split:
    moved = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return Split(torch.from_numpy(moved), torch.from_numpy(labels.astype(np.int64)))


def augment(
    images: Tensor, generator: torch.Generator, *, shift: int, flip: bool
) -> tuple[Tensor, Tensor]:
    """Shift each image by up to `shift` pixels, edges repeated, and mirror half of them.

    Gives the images, and which of them were mirrored `(n,)`.
    """
    n, _, size, _ = images.shape
    mirrored = torch.zeros(n, dtype=torch.bool)
    if shift:
        padded = functional.pad(images.float(), (shift,) * 4, mode="replicate").to(torch.uint8)
        offsets = torch.randint(0, 2 * shift + 1, (n, 2), generator=generator)
        rows = offsets[:, 0, None] + torch.arange(size)
        columns = offsets[:, 1, None] + torch.arange(size)
        index = torch.arange(n)[:, None, None]
        images = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
        images = images.permute(0, 3, 1, 2)
    if flip:
        mirrored = torch.rand(n, generator=generator) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    return images, mirrored
