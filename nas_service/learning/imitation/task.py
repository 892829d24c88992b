"""Imitation: no labels, only samples of a model's inputs and what it answers to them.

The original teaches; quality is agreement with it. So what nobody has labels for, embeddings, voice
detectors, parts of pipelines, can be searched, compressed and certified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_service.errors import InvalidSpec
from nas_service.learning.base import Array, Data, Ingested, Progress, TrainingSize
from nas_service.learning.imitation.agreement import METRICS, Imitated, decided
from nas_service.learning.imitation.shape import ARRAY, ArrayShape
from nas_service.learning.metric import Judged
from nas_service.learning.outputs import NumbersTask
from nas_service.space.base import Sample

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TEACHER = "teacher"
"""The answer that names the model whose answers are learned."""


class Imitation(NumbersTask):
    """Outputs and targets are numbers `(n, k)`: the teacher's answers."""

    name = "imitation"
    label = "imitation of a model"
    sample_name = ARRAY
    samples = "samples"
    training = TrainingSize(
        samples=12_000, most_epochs=60, finetune_steps=300, most_finetune_epochs=40
    )
    metrics = METRICS

    def answers(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.answers`: only whose answers are learned."""
        given = {name: value for name, value in values.items() if value is not None}
        if unknown := sorted(set(given) - {TEACHER}):
            raise InvalidSpec(
                f"{unknown[0]}: recorded samples are read in one way", field=unknown[0]
            )
        return given

    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Ingested:
        """See `LearningTask.ingest`: an `.npz` of `x` (n, ...) and `y` (n, k)."""
        from nas_service.learning.imitation.read import read_recorded

        del answers, within, threads
        return read_recorded(source, tell=tell)

    def sample(self, facts: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample`."""
        names = ("size", "outputs", "rank", "channels", "rows")
        return ArrayShape(**{name: int(facts[name]) for name in names})

    def sample_of(self, values: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample_of`."""
        return ArrayShape(**values)

    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        """See `LearningTask.load`."""
        from nas_service.learning.imitation.data import load

        return load(path, max_train=max_train, device=device)

    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """See `LearningTask.loss`: squared error, over the variance of answers that are large.

        Of small ones it stays as it is: divided, steps would be too long for their small weights.
        """
        del smoothing
        missed: Tensor = (outputs - targets).square().mean()
        spread = targets.var(dim=0).mean().clamp_min(1.0) if len(targets) > 1 else 1.0
        return missed / spread

    def judge(self, outputs: Array, targets: Array) -> Judged:
        """See `LearningTask.judge`."""
        return Imitated(outputs, targets)

    def agreement(self, outputs: Array, reference: Array) -> float:
        """See `LearningTask.agreement`: the share on which they decide the same."""
        return float((decided(outputs, reference) == decided(reference, reference)).mean())

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.details`: agreement in all terms."""
        del facts
        assert isinstance(judged, Imitated)
        return {
            "imitation": {
                "sqnr_db": round(judged.sqnr_db, 2),
                "same_decision": round(float(judged.decisions.mean()), 5),
                "cosine": round(float(judged.cosines.mean()), 5),
                "least_cosine": round(float(judged.cosines.min()), 5),
            }
        }

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`: as they were recorded, unless numbers are given."""
        from nas_service.learning.imitation.data import RecordedData

        del facts
        assert isinstance(data, RecordedData)
        shape = {"input_shape": list(data.example(size))}
        return {**shape, "mean": list(data.mean), "std": list(data.std)}
