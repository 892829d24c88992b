"""What learning tasks on signals share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data, Ingested, LearningTask, Progress, TrainingSize
from nas_service.learning.signals.window import SIGNAL, Window
from nas_service.space.base import Sample

if TYPE_CHECKING:
    import torch


class SignalTask(LearningTask):
    """Samples are windows `(channels, steps)` of floats."""

    sample_name = SIGNAL
    samples = "windows"
    usual_space = "temporal"
    training = TrainingSize(
        samples=12_000, most_epochs=300, finetune_steps=220, most_finetune_epochs=120
    )
    numbers = False
    """Whether targets are numbers; else they are classes."""
    knows_normal = False
    """Whether one label is that of normal windows."""

    @abstractmethod
    def n_outputs(self, facts: Mapping[str, Any]) -> int:
        """Numbers that a network gives for a window."""

    def answers(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.answers`."""
        from nas_service.learning.signals.answers import parse

        if parse(values).normal and not self.knows_normal:
            raise InvalidSpec("normal: only anomaly detection asks for it", field="normal")
        return {name: value for name, value in values.items() if value is not None}

    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Ingested:
        """See `LearningTask.ingest`: an `.npz`, a table, or a folder of tables."""
        from nas_service.learning.signals.answers import parse
        from nas_service.learning.signals.ingested import read

        del threads
        return read(source, parse(answers), numbers=self.numbers, tell=tell, within=within)

    def stored(self, facts: Mapping[str, Any]) -> str:
        """See `LearningTask.stored`."""
        rate = "" if facts.get("rate_hz") is None else f" at {facts['rate_hz']:g} Hz"
        return f"{facts['channels']} channels of {facts['size']} steps{rate}"

    def sample(self, facts: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample`."""
        return Window(int(facts["size"]), int(facts["channels"]), self.n_outputs(facts))

    def sample_of(self, values: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample_of`."""
        return Window(**values)

    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        """See `LearningTask.load`."""
        from nas_service.learning.signals.data import load

        return load(path, self.name, max_train=max_train, device=device)

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`; `preprocess_signal.py` carries it out."""
        from nas_service.learning.signals.data import SignalData

        assert isinstance(data, SignalData)
        return {
            "channels": list(facts["channel_names"]),
            "rate_hz": facts.get("rate_hz"),
            "window_steps": int(facts["size"]),
            "steps": size,
            "resize": "mean of equal parts",
            "mean": list(data.mean),
            "std": list(data.std),
            "layout": "NCT",
            "code": "preprocess_signal.py",
        }

    def bundle_files(self, facts: Mapping[str, Any]) -> Mapping[str, str]:
        """See `LearningTask.bundle_files`."""
        del facts
        templates = files("nas_service").joinpath("templates")
        names = ("verify.py", "preprocess_signal.py")
        return {name: templates.joinpath(name).read_text() for name in names}
