"""What a learning task is, and the data that networks of it are trained and judged on.

Importing a task's module imports no torch: the service reads names and metrics of tasks. What
trains imports it where it is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.metric import Judged, Metric
from nas_service.space.base import Sample

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Array = npt.NDArray[Any]
MAX_PREPARED_BYTES = 2 * 1024**3
"""Of samples that are prepared and kept: to judge files on, and for ranges of activations."""


class Progress(Protocol):
    """Called with a fraction and a note while a source is read."""

    def __call__(self, fraction: float, note: str, /) -> None: ...


class Ingested(Protocol):
    """A data set as a task has read it: what is stored, and what users are told of it."""

    @property
    def digest(self) -> str:
        """Of everything that matters to training."""
        ...

    @property
    def nbytes(self) -> int:
        """About what the stored form takes."""
        ...

    def facts(self) -> dict[str, Any]:
        """Plain JSON values: `n_train`, `n_validation`, `n_test`, and what the task needs."""
        ...

    def save(self, path: Path) -> None:
        """Write the stored form, which `LearningTask.load` reads."""
        ...


@dataclass(frozen=True, slots=True)
class TrainingSize:
    """How much is trained where the user leaves it to the data's size.

    A supernet sees `samples`, all epochs together, in at most `most_epochs`; a winner is tuned for
    `finetune_steps`, in at most `most_finetune_epochs`.
    """

    samples: int = 6_500
    most_epochs: int = 20
    finetune_steps: int = 68
    most_finetune_epochs: int = 5


@dataclass(frozen=True)
class Split:
    """Samples `(n, ...)` as they are stored, and their targets `(n, ...)`."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def first(self, n: int) -> Split:
        """The first samples, all where there are no more."""
        return Split(self.inputs[:n], self.targets[:n])


class Data(ABC):
    """Three splits of a data set; samples stay in memory, prepared ones are on `device`.

    `size` is what `input_size` says of a network: pixels a side, steps of a window.
    """

    train: Split
    validation: Split
    test: Split
    device: torch.device

    @property
    @abstractmethod
    def task(self) -> LearningTask:
        """What networks are taught on it."""

    @abstractmethod
    def prepared(self, inputs: Tensor, size: int) -> Tensor:
        """Stored samples as a network of that size reads them, where they are."""

    @abstractmethod
    def example(self, size: int) -> tuple[int, ...]:
        """The shape of one prepared sample, batch first."""

    @abstractmethod
    def augmented(
        self, inputs: Tensor, generator: torch.Generator, *, shift: int, flip: bool
    ) -> tuple[Tensor, Tensor]:
        """Stored samples changed at random, and which of them were mirrored `(n,)`."""

    def varied(self, inputs: Tensor, generator: torch.Generator, policy: str) -> Tensor:
        """Stored samples changed further, by one of `AUGMENTATIONS`.

        Raises:
            InvalidSpec: the data are not such samples, or what the policy takes is not installed.
        """
        del inputs, generator
        raise InvalidSpec(
            f"augment: {policy} is for pictures of one label each, not for {self.task.name}",
            field="augment",
        )

    @abstractmethod
    def mirrored(self, inputs: Tensor) -> Tensor:
        """Stored samples, each mirrored as `augmented` does it where `flip` is asked for."""

    def mirrored_targets(self, targets: Tensor, mirrored: Tensor) -> Tensor:
        """Targets of samples of which some are `mirrored` `(n,)`: masks are mirrored with them."""
        del mirrored
        return targets

    @abstractmethod
    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> Self:
        """The same data, prepared with these numbers a channel instead of its own.

        Raises:
            InvalidData: they are not one a channel.
        """

    def require_one_a_channel(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Raise `InvalidData` where they are not as many numbers as samples have channels."""
        channels = self.train.inputs.shape[1]
        if len(mean) != channels or len(std) != channels:
            raise InvalidData(
                f"mean and std need a number for each of {channels} channels", field="mean"
            )

    @abstractmethod
    def require_model(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """Raise `InvalidData` where a model of this input and so many outputs does not fit."""

    def most_prepared(self, size: int) -> int:
        """How many prepared samples fit."""
        return MAX_PREPARED_BYTES // (4 * int(np.prod(self.example(size))))


class LearningTask(ABC):
    """What networks of a search are taught; without state.

    The entry-point group is `nas_service.learning_tasks`, an entry the class, named as `name`.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    sample_name: ClassVar[str]
    """`Sample.name` of its samples."""
    samples: ClassVar[str] = "samples"
    """What one says of several of them, as `images`."""
    has_classes: ClassVar[bool] = False
    """Whether a target is the number of a class `(n,)`."""
    usual_space: ClassVar[str] = ""
    """The search space of searches that name none; empty where each has to."""
    training: ClassVar[TrainingSize] = TrainingSize()
    """About a minute on two cores, for small images."""
    metrics: ClassVar[Sequence[Metric]]
    """What a search may maximise; the first unless it says otherwise."""

    def preview(self, path: Path) -> bytes | None:
        """A picture (PNG) of some of the samples that are stored at `path`; None: it has none."""
        del path
        return None

    def metric(self, name: str = "") -> Metric:
        """The metric of that name, the first one without.

        Raises:
            InvalidSpec: there is none; the known ones are listed.
        """
        known = {one.name: one for one in self.metrics}
        if not name:
            return self.metrics[0]
        if name not in known:
            raise InvalidSpec(
                f"no metric {name!r}; known: {', '.join(known)}",
                field="metric",
                known_names=list(known),
            )
        return known[name]

    def answers(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a user says about a source, checked before anything is read, as `ingest` takes it.

        Raises:
            InvalidSpec: names the field that this task does not have, or whose value cannot be.
        """
        return dict(values)

    @abstractmethod
    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Ingested:
        """Read a user's file or folder; links out of the folders `within` are not followed.

        Raises:
            InvalidData: says which file, row or field is at fault.
        """

    def stored(self, facts: Mapping[str, Any]) -> str:
        """A sample's shape as one says it, as `6 channels of 100 steps`."""
        sample = self.sample(facts)
        return " x ".join(str(one) for one in sample.input_shape(sample.size)[1:])

    @abstractmethod
    def sample(self, facts: Mapping[str, Any]) -> Sample:
        """What a search space of a data set with these facts is made for."""

    @abstractmethod
    def sample_of(self, values: Mapping[str, Any]) -> Sample:
        """The inverse of `Sample.as_dict`."""

    @abstractmethod
    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        """Read a stored data set, `max_train` training samples of it, for networks on `device`."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """What training minimises; `smoothing` of labels, where a task has them."""

    @abstractmethod
    def distillation_loss(
        self, outputs: Tensor, answers: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """What is minimised where a network learns another one's answers."""

    @abstractmethod
    def mean_answer(self, answers: Tensor) -> Tensor:
        """What several teachers answer together: `(teachers, n, ...) -> (n, ...)`."""

    @abstractmethod
    def judge(self, outputs: Array, targets: Array) -> Judged:
        """What outputs `(n, ...)` are worth beside the targets `(n, ...)`."""

    @abstractmethod
    def agreement(self, outputs: Array, reference: Array) -> float:
        """The share of samples on which two networks say the same: of outputs `(n, ...)` each."""

    def hopeless(self, metric: Metric, judged: Judged) -> bool:
        """Whether a network is no better than one that has learned nothing."""
        return metric.score(metric.value(judged)) <= 0.0

    def effective_samples(self, metric: Metric, facts: Mapping[str, Any], n: int) -> int:
        """As how many equal samples `n` of them tell a metric apart."""
        del metric, facts
        return n

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What a file's row tells beside the metric, under names of the task's own."""
        del judged, facts
        return {}

    def note(self, metric: Metric, facts: Mapping[str, Any]) -> str | None:
        """What is to be said where a search for this metric is submitted."""
        del metric, facts
        return None

    def remark(self, metric: Metric, rows: Sequence[Mapping[str, Any]]) -> str:
        """What is to be said of measured rows, after what their test part can tell apart."""
        del metric, rows
        return ""

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """Every step from a user's sample to a network's input, as `preprocessing.json` says it."""
        del facts
        return {"input_shape": list(data.example(size))}

    def bundle_files(self, facts: Mapping[str, Any]) -> Mapping[str, str]:
        """Names and texts of what goes into a bundle beside models and report."""
        del facts
        return {}
