"""Who judges the files of a model: a learning task with its labels, or a metric of all outputs."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from lookup_tables.measuring.feeds import keep_feeds
from nas_service.compilation.samples import read_samples, save_samples
from nas_service.compilation.toolchains import runs_here
from nas_service.compilation.verify import answers_of
from nas_service.delivery.bundle import PARITY
from nas_service.errors import InvalidSpec, StepFailed
from nas_service.jobs.params import CompressionJob
from nas_service.learning.base import LearningTask
from nas_service.output_metrics.by_name import output_metric
from nas_service.recorded.feeds import read_recorded, save_recorded
from nas_service.recorded.outputs import JudgedOutputs, parity_of_outputs
from nas_service.recorded.parity import Parity, parity_of
from nas_service.recorded.signature import Signature
from nas_service.storage.datasets import StoredDataset
from nas_service.worker.delivery.built import Built, answer
from nas_service.worker.delivery.sessions import N_SAMPLES_THERE

REFERENCE, ORIGINAL_REFERENCE = "reference.npz", "original-reference.npz"
SIGNATURE = "signature.json"


class ModelJudge(ABC):
    """Of files of one model; `folder` has its test samples and the modules' own answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    label: str
    """The metric as people read it."""

    @abstractmethod
    def answer(self, built: Built) -> None:
        """Have a file answer the test samples, where its runtime is here.

        Raises:
            StepFailed: see `built.answer`.
        """

    @abstractmethod
    def score(self, built: Built) -> float:
        """How good the answers are, 1 at best."""

    @abstractmethod
    def parity(self, built: Built, precision: str, *, original: bool = False) -> Parity:
        """The answers beside the module's own: the compressed one's, or the original's."""

    def parity_there(self, built: Built, precision: str) -> Parity | None:
        """The same of what a device elsewhere answered to the first samples; None where none."""
        del built, precision
        return None

    @abstractmethod
    def bundled(self) -> tuple[Mapping[str, Path], Mapping[str, str]]:
        """Files beside the models, with `PARITY`, and texts at the top of the bundle."""

    def _reference(self, *, original: bool) -> Path:
        own = self.folder / ORIGINAL_REFERENCE
        return own if original and own.is_file() else self.folder / REFERENCE


class TaskJudge(ModelJudge):
    """By a data set's learning task: its first metric, on labels."""

    def __init__(self, folder: Path, dataset: StoredDataset) -> None:
        super().__init__(folder)
        self._dataset = dataset
        self._task: LearningTask = dataset.task
        self.label = self._task.metric().label

    def answer(self, built: Built) -> None:
        """See `ModelJudge.answer`."""
        answer(built, self.folder / "test.npz")

    def score(self, built: Built) -> float:
        """See `ModelJudge.score`."""
        assert built.outputs is not None
        metric = self._task.metric()
        targets = read_samples(self.folder / "test.npz", "targets")
        return metric.score(metric.value(self._task.judge(built.outputs, targets)))

    def parity(self, built: Built, precision: str, *, original: bool = False) -> Parity:
        """See `ModelJudge.parity`."""
        assert built.outputs is not None
        expected = read_samples(self._reference(original=original), "outputs")
        return parity_of(built.outputs, expected, precision, self._task.agreement)

    def parity_there(self, built: Built, precision: str) -> Parity | None:
        """See `ModelJudge.parity_there`."""
        found = built.outputs_there
        if found is None:
            return None
        expected = read_samples(self.folder / REFERENCE, "outputs")[: len(found)]
        return parity_of(found, expected, precision, self._task.agreement)

    def bundled(self) -> tuple[Mapping[str, Path], Mapping[str, str]]:
        """See `ModelJudge.bundled`."""
        parity = save_samples(
            self.folder / PARITY,
            inputs=read_samples(self.folder / "test.npz")[:N_SAMPLES_THERE],
            outputs=read_samples(self.folder / REFERENCE, "outputs")[:N_SAMPLES_THERE],
        )
        beside = {PARITY: parity, "preprocessing.json": self.folder / "preprocessing.json"}
        return beside, self._task.bundle_files(self._dataset.facts)


class RecordedJudge(ModelJudge):
    """By a metric of all outputs on samples that were recorded for this model."""

    def __init__(self, folder: Path, metric: str) -> None:
        super().__init__(folder)
        self._metric = output_metric(metric)
        self.label = self._metric.label
        told = json.loads((folder / SIGNATURE).read_text())
        self._names = [one.name for one in Signature.from_dict(told).outputs]
        targets = folder / "targets.npz"
        self._targets = None
        if targets.is_file():
            self._targets = [one["targets"] for one in read_recorded(targets)]

    def answer(self, built: Built) -> None:
        """See `ModelJudge.answer`; the first sample is what the file is timed on."""
        test = self.folder / "test.npz"
        if not runs_here(built.target.runtime):
            return
        keep_feeds(built.path, read_recorded(test)[0])
        out = built.path.parent / f"{built.path.name}.outputs.npz"
        built.answers = answers_of(built.path, built.target, test, out, self._names)

    def score(self, built: Built) -> float:
        """See `ModelJudge.score`; nothing where an answer is no number, or of other sizes."""
        judged = self._judged(built, original=True)
        return self._metric.value(judged) if judged.comparable else 0.0

    def parity(self, built: Built, precision: str, *, original: bool = False) -> Parity:
        """See `ModelJudge.parity`."""
        judged = self._judged(built, original=original)
        return parity_of_outputs(judged, precision, self._agreement(judged))

    def parity_there(self, built: Built, precision: str) -> Parity | None:
        """See `ModelJudge.parity_there`."""
        if not built.answers_there:
            return None
        n = min(len(answer) for answer in built.answers_there)
        if n != len(self._names):
            raise StepFailed(
                f"{built.target.device} answers with {n} outputs of {len(self._names)} for "
                f"{built.target.runtime} {precision}"
            )
        found = [
            {name: answer[str(place)] for place, name in enumerate(self._names)}
            for answer in built.answers_there
        ]
        expected = read_recorded(self.folder / REFERENCE)[: len(found)]
        judged, agreement = JudgedOutputs(found, expected), 1.0
        with suppress(InvalidSpec):  # so few may be too few for the metric, and are compared anyway
            agreement = self._agreement(judged)
        return parity_of_outputs(judged, precision, agreement)

    def _agreement(self, judged: JudgedOutputs) -> float:
        if self._metric.needs_targets or not judged.comparable:
            return 1.0
        return self._metric.value(replace(judged, targets=None))  # how well it does is not asked

    def _judged(self, built: Built, *, original: bool) -> JudgedOutputs:
        assert built.answers is not None
        expected = read_recorded(self._reference(original=original))
        return JudgedOutputs(built.answers, expected, self._targets)

    def bundled(self) -> tuple[Mapping[str, Path], Mapping[str, str]]:
        """See `ModelJudge.bundled`."""
        inputs = read_recorded(self.folder / "test.npz")[:N_SAMPLES_THERE]
        outputs = read_recorded(self.folder / REFERENCE)[:N_SAMPLES_THERE]
        both = [
            {f"in/{name}": values for name, values in given.items()}
            | {f"out/{name}": values for name, values in told.items()}
            for given, told in zip(inputs, outputs, strict=True)
        ]
        parity = save_recorded(self.folder / PARITY, both)
        verify = files("nas_service").joinpath("templates/verify_recorded.py").read_text()
        beside = {PARITY: parity, SIGNATURE: self.folder / SIGNATURE}
        return beside, {"verify.py": verify}


def judge_of(job: CompressionJob, folder: Path, dataset: StoredDataset | None) -> ModelJudge:
    """Who judges a compression's files."""
    if dataset is None:
        return RecordedJudge(folder, job.metric)
    return TaskJudge(folder, dataset)
