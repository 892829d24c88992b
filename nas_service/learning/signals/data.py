"""Signals as tensors, with parts fixed when they were imported."""

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

_LEAST_SHARE = 1e-7
"""Of a channel's mean: what varies less is rounding, in single precision."""
_LEAST_STD = 1e-30
_NOISE, _SCALE = 0.05, 0.1
"""Training windows are scaled by up to this share, and noise of this share of a channel's standard
deviation is added (Um et al., 2017)."""


@dataclass(frozen=True)
class SignalData(Data):
    """Splits of float windows `(n, c, t)`; `mean` and `std` are those of training by channel."""

    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_outputs: int
    task_name: str
    device: torch.device

    @property
    def task(self) -> LearningTask:
        """See `Data`."""
        return learning_task(self.task_name)

    def prepared(self, inputs: Tensor, size: int) -> Tensor:
        """Normalised, and averaged to `size` steps."""
        mean, std = (inputs.new_tensor(one)[None, :, None] for one in (self.mean, self.std))
        x = (inputs - mean) / std
        if x.shape[2] != size:
            x = functional.adaptive_avg_pool1d(x, size)
        return x.contiguous()

    def example(self, size: int) -> tuple[int, ...]:
        """See `Data.example`."""
        return (1, self.train.inputs.shape[1], size)

    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        """Shifted by up to `shift` steps, edges repeated, scaled a little, with a little noise.

        Nothing is mirrored, whatever `flip` says: time has a direction.
        """
        del flip
        n, _, steps = inputs.shape
        if shift:
            padded = functional.pad(inputs, (shift, shift), mode="replicate")
            offsets = torch.randint(0, 2 * shift + 1, (n, 1), generator=generator)
            columns = offsets + torch.arange(steps)
            inputs = padded.gather(2, columns[:, None, :].expand(-1, inputs.shape[1], -1))
        scale = 1.0 + _SCALE * (2.0 * torch.rand((n, 1, 1), generator=generator) - 1.0)
        noise = torch.randn(inputs.shape, generator=generator)
        std = torch.tensor(self.std)[None, :, None]
        changed = inputs * scale + _NOISE * std * noise
        return changed, torch.zeros(n, dtype=torch.bool)

    def mirrored(self, inputs: Tensor) -> Tensor:
        """See `Data.mirrored`: nothing is."""
        return inputs

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> SignalData:
        """See `Data.normalised`."""
        self.require_one_a_channel(mean, std)
        return replace(self, mean=tuple(mean), std=tuple(std))

    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """See `Data.require_model`."""
        channels = self.train.inputs.shape[1]
        if len(shape) != 3 or shape[1] != channels:
            raise InvalidData(
                f"the model takes {tuple(shape)}, the data set's windows are (n, {channels}, t)",
                field="dataset",
            )
        if n_outputs < self.n_outputs:
            raise InvalidData(
                f"the model gives {n_outputs} numbers, the data set asks for {self.n_outputs}",
                field="dataset",
            )


def load(path: Path, task_name: str, *, max_train: int | None, device: torch.device) -> SignalData:
    """Read stored windows, for networks on `device`."""
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
    mean, std = _spread(train.inputs)
    n_outputs = int(targets.max()) + 1 if targets.ndim == 1 else targets.shape[1]
    return SignalData(train, validation, test, mean, std, n_outputs, task_name, device)


def _spread(inputs: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, however small its numbers; 1 of a constant."""
    of_channels = []
    for channel in range(inputs.shape[1]):
        exact = inputs[:, channel].double()
        mean, std = float(exact.mean()), float(exact.std())
        of_channels.append((mean, 1.0 if std <= _LEAST_SHARE * abs(mean) + _LEAST_STD else std))
    means, stds = zip(*of_channels, strict=True)
    return means, stds
