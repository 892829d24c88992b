"""Samples of a model's inputs with its answers, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nas_service.errors import InvalidData
from nas_service.learning.base import Data, LearningTask, Split
from nas_service.learning.registry import learning_task


@dataclass(frozen=True)
class RecordedData(Data):
    """Splits of inputs as the model takes them; nothing is normalised unless it is asked for."""

    train: Split
    validation: Split
    test: Split
    device: torch.device
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def task(self) -> LearningTask:
        """See `Data`."""
        return learning_task("imitation")

    def prepared(self, inputs: Tensor, size: int) -> Tensor:
        """As they are; square maps and windows of another size are averaged or interpolated."""
        x = inputs
        if self.mean:
            shape = (1, -1, *([1] * (x.ndim - 2)))
            x = (x - x.new_tensor(self.mean).reshape(shape)) / x.new_tensor(self.std).reshape(shape)
        if x.shape[-1] == size:
            return x.contiguous()
        if x.ndim == 3:
            return functional.adaptive_avg_pool1d(x, size)
        if x.ndim == 4 and x.shape[2] == x.shape[3]:
            return functional.interpolate(
                x, size=(size, size), mode="bilinear", align_corners=False, antialias=True
            )
        raise InvalidData(f"samples of {tuple(x.shape[1:])} cannot be made {size} long")

    def example(self, size: int) -> tuple[int, ...]:
        """See `Data.example`."""
        own = self.train.inputs.shape[1:]
        if len(own) == 3:
            return (1, own[0], size if own[1] == own[2] else own[1], size)
        return (1, *own[:-1], size)

    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        """As they are: answers were recorded to these very samples."""
        del generator, shift, flip
        return inputs, torch.zeros(len(inputs), dtype=torch.bool)

    def mirrored(self, inputs: Tensor) -> Tensor:
        """See `Data.mirrored`: nothing is."""
        return inputs

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> RecordedData:
        """See `Data.normalised`."""
        self.require_one_a_channel(mean, std)
        return replace(self, mean=tuple(mean), std=tuple(std))

    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """See `Data.require_model`."""
        own = (1, *self.train.inputs.shape[1:])
        if len(shape) != len(own) or shape[1] != own[1]:
            raise InvalidData(
                f"the model takes {tuple(shape)}, the recorded samples are {own}", field="dataset"
            )
        answers = self.train.targets.shape[1]
        if n_outputs != answers:
            raise InvalidData(
                f"the model gives {n_outputs} numbers, {answers} were recorded", field="dataset"
            )


def load(path: Path, *, max_train: int | None, device: torch.device) -> RecordedData:
    """Read stored samples, for networks on `device`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            inputs, targets, part = (
                torch.from_numpy(arrays[name]) for name in ("inputs", "targets", "part")
            )
    except (ValueError, KeyError, OSError) as error:
        raise InvalidData(f"the stored data set cannot be read: {error}") from error
    train, validation, test = (Split(inputs[part == n], targets[part == n]) for n in range(3))
    if max_train is not None:
        train = train.first(max_train)
    return RecordedData(train, validation, test, device)
