"""Windows that are learned to be given back, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nas_service.errors import InvalidData
from nas_service.learning.base import Split
from nas_service.learning.signals.data import SignalData, load
from nas_service.learning.signals.window import answer_steps

_NOISE = 0.1
"""Standard deviation of the noise on training windows, as a share of their channel's."""


@dataclass(frozen=True)
class AnomalyData(SignalData):
    """Targets `(n, k + 1)` are windows normalised and averaged, then 1 of an anomaly, else 0."""

    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        """With noise, which is not to be given back; what a window is compared with stays."""
        del shift, flip
        noise = torch.randn(inputs.shape, generator=generator)
        std = torch.tensor(self.std)[None, :, None]
        return inputs + _NOISE * std * noise, torch.zeros(len(inputs), dtype=torch.bool)

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> AnomalyData:
        """See `Data.normalised`; what is compared is normalised alike."""
        self.require_one_a_channel(mean, std)
        other = replace(self, mean=tuple(mean), std=tuple(std))
        train, validation, test = (
            Split(one.inputs, other.answers(one.inputs, one.targets[:, -1]))
            for one in (self.train, self.validation, self.test)
        )
        return replace(other, train=train, validation=validation, test=test)

    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """See `Data.require_model`: as many numbers as a window is compared by, no more."""
        super().require_model(shape, n_outputs)
        if n_outputs != self.n_outputs:
            raise InvalidData(
                f"the model gives {n_outputs} numbers, windows are compared by {self.n_outputs}",
                field="dataset",
            )

    def answers(self, inputs: Tensor, anomalous: Tensor) -> Tensor:
        """Targets of stored windows: what a network should give, and whether it is an anomaly."""
        channels, steps = inputs.shape[1:]
        found = functional.adaptive_avg_pool1d(
            self.prepared(inputs, steps), answer_steps(channels, steps)
        )
        return torch.cat([found.flatten(1), anomalous.float()[:, None]], dim=1)


def load_anomalies(
    path: Path, task_name: str, *, max_train: int | None, device: torch.device
) -> AnomalyData:
    """Read stored windows, for networks on `device`."""
    stored = load(path, task_name, max_train=max_train, device=device)
    channels, steps = stored.train.inputs.shape[1:]
    outputs = channels * answer_steps(channels, steps)
    plain = AnomalyData(
        stored.train,
        stored.validation,
        stored.test,
        stored.mean,
        stored.std,
        n_outputs=outputs,
        task_name=task_name,
        device=device,
    )
    train, validation, test = (
        Split(one.inputs, plain.answers(one.inputs, one.targets))
        for one in (stored.train, stored.validation, stored.test)
    )
    return replace(plain, train=train, validation=validation, test=test)
