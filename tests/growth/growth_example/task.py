"""Regression of one number from a window of a signal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_service.errors import InvalidData
from nas_service.learning.base import Array, Data, LearningTask, Progress, Split
from nas_service.learning.metric import Judged, Metric
from nas_service.space.base import Sample

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CLOSE = 0.2
"""Answers within this share of the answers' spread are called the same."""


@dataclass(frozen=True)
class Window:
    """A `Sample`: steps and channels of a window."""

    size: int
    channels: int

    @property
    def name(self) -> str:
        return "window"

    @property
    def n_outputs(self) -> int:
        return 1

    def input_shape(self, size: int) -> tuple[int, ...]:
        return (1, self.channels, size)

    def as_dict(self) -> dict[str, int]:
        return {"size": self.size, "channels": self.channels}


@dataclass(frozen=True)
class Errors:
    """Squared errors of each answer, and the targets they are of."""

    squared: Array
    targets: Array

    @property
    def n(self) -> int:
        return len(self.targets)


def _r2(one: Errors) -> float:
    return float(1.0 - one.squared.mean() / max(one.targets.var(), 1e-12))


def _r2_error(one: Errors) -> float:
    spread = one.squared.std() / max(one.targets.var(), 1e-12) / np.sqrt(one.n)
    return float(max(spread, 1.0 / one.n))


def _mae(one: Errors) -> float:
    return float(np.sqrt(one.squared).mean())


def _mae_error(one: Errors) -> float:
    return float(max(np.sqrt(one.squared).std() / np.sqrt(one.n), 1e-3))


@dataclass(frozen=True)
class Windows:
    """What was read of a file."""

    inputs: Array
    targets: Array
    part: Array
    digest: str

    @property
    def nbytes(self) -> int:
        return int(self.inputs.nbytes)

    def facts(self) -> dict[str, Any]:
        counts = np.bincount(self.part, minlength=3)
        _, channels, size = self.inputs.shape
        split = dict(zip(("n_train", "n_validation", "n_test"), map(int, counts), strict=True))
        return {"size": size, "channels": channels, **split}

    def save(self, path: Path) -> None:
        with path.open("wb") as stream:
            np.savez(stream, inputs=self.inputs, targets=self.targets, part=self.part)


class WindowRegression(LearningTask):
    """Outputs and targets are numbers `(n, 1)`."""

    name = "window_regression"
    label = "regression on windows"
    samples = "windows"
    sample_name = "window"
    metrics = (
        Metric("r2", "R2", _r2, _r2_error, bounded=False),
        Metric("mae", "mean error", _mae, _mae_error, best=0.0, worst=2.0, bounded=False, unit="K"),
    )

    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Windows:
        del answers, within, threads
        with np.load(source, allow_pickle=False) as arrays:
            if "x" not in arrays or "y" not in arrays:
                raise InvalidData("the file needs arrays x (n, channels, steps) and y (n,)")
            inputs = np.asarray(arrays["x"], dtype=np.float32)
            targets = np.asarray(arrays["y"], dtype=np.float32)
        if inputs.ndim != 3 or targets.shape != (len(inputs),):
            raise InvalidData(f"x is {inputs.shape} and y {targets.shape}; (n, c, t) and (n,)")
        if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
            raise InvalidData("x or y has something that is no number")
        digest = hashlib.sha256(inputs.tobytes() + targets.tobytes()).hexdigest()
        order = np.random.default_rng(int(digest[:12], 16)).permutation(len(inputs))
        part = np.array([0, 0, 0, 1, 2])[np.argsort(order) % 5]
        tell(1.0, f"{len(inputs)} windows")
        return Windows(inputs, targets[:, None], part, digest)

    def sample(self, facts: Mapping[str, Any]) -> Sample:
        return Window(int(facts["size"]), int(facts["channels"]))

    def sample_of(self, values: Mapping[str, Any]) -> Sample:
        return Window(**values)

    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        return load(path, max_train, device)

    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        from torch.nn import functional

        del smoothing
        return functional.mse_loss(outputs, targets)

    def distillation_loss(
        self, outputs: Tensor, answers: Tensor, temperature: float = 1.0
    ) -> Tensor:
        del temperature
        return self.loss(outputs, answers.detach())

    def mean_answer(self, answers: Tensor) -> Tensor:
        return answers.mean(0)

    def judge(self, outputs: Array, targets: Array) -> Judged:
        return Errors(((outputs - targets) ** 2)[:, 0], targets[:, 0])

    def agreement(self, outputs: Array, reference: Array) -> float:
        spread = max(float(reference.std()), 1e-9)
        return float((np.abs(outputs - reference) <= CLOSE * spread).all(axis=1).mean())

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        del facts
        assert isinstance(judged, Errors)
        return {"regression": {"largest_error": round(float(np.sqrt(judged.squared.max())), 4)}}

    def bundle_files(self, facts: Mapping[str, Any]) -> Mapping[str, str]:
        return {"task.json": json.dumps({"unit": "K", "steps": facts["size"]})}


def load(path: Path, max_train: int | None, device: torch.device) -> Data:
    """The stored windows; normalised by the mean and deviation of a channel."""
    import torch

    with np.load(path, allow_pickle=False) as arrays:
        inputs, targets, part = (torch.from_numpy(arrays[n]) for n in ("inputs", "targets", "part"))
    train, validation, test = (Split(inputs[part == n], targets[part == n]) for n in range(3))
    train = train if max_train is None else train.first(max_train)
    mean = tuple(train.inputs.mean((0, 2)).tolist())
    std = tuple(train.inputs.std((0, 2)).clamp_min(1e-6).tolist())
    return Signals(train, validation, test, mean, std, device)


@dataclass(frozen=True)
class Signals(Data):
    """Splits of float windows `(n, c, t)`."""

    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device

    @property
    def task(self) -> LearningTask:
        return WindowRegression()

    def prepared(self, inputs: Tensor, size: int) -> Tensor:
        mean, std = (inputs.new_tensor(one)[None, :, None] for one in (self.mean, self.std))
        return ((inputs - mean) / std)[:, :, :size].contiguous()

    def example(self, size: int) -> tuple[int, ...]:
        return (1, self.train.inputs.shape[1], size)

    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        del generator, shift, flip  # what a window says depends on where it stands
        return inputs, inputs.new_zeros(len(inputs)).bool()

    def mirrored(self, inputs: Tensor) -> Tensor:
        return inputs

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> Data:
        return replace(self, mean=tuple(mean), std=tuple(std))

    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        if (shape[1], n_outputs) != (self.train.inputs.shape[1], 1):
            raise InvalidData("the model does not take these windows", field="dataset")
