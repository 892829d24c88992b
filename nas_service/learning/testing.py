"""The contract of learning tasks: subclass, and provide the fixtures `task` and `source`.

`source` is a small file or folder that the task reads, one from which something can be learned.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data, Ingested, LearningTask


class LearningTaskContract:
    """What every task keeps."""

    @pytest.fixture
    def ingested(self, task: LearningTask, source: Path) -> Ingested:
        """What the task has read."""
        notes: list[str] = []
        return task.ingest(
            source,
            {},
            tell=lambda _, note: notes.append(note),
            within=[source.parent],
            threads=1,
        )

    @pytest.fixture
    def data(self, task: LearningTask, ingested: Ingested, tmp_path: Path) -> Data:
        """The same, stored and loaded again."""
        import torch

        ingested.save(tmp_path / "stored.npz")
        return task.load(tmp_path / "stored.npz", max_train=None, device=torch.device("cpu"))

    def test_importing_it_brings_no_torch(self, task: LearningTask) -> None:
        module = type(task).__module__
        code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  # our interpreter

    def test_facts_say_how_many_samples_there_are_and_of_what_kind(
        self, task: LearningTask, ingested: Ingested, data: Data
    ) -> None:
        facts = ingested.facts()
        parts = {"n_train": data.train, "n_validation": data.validation, "n_test": data.test}
        assert {name: facts[name] for name in parts} == {n: len(p) for n, p in parts.items()}
        assert all(len(part) > 1 for part in parts.values())
        sample = task.sample(facts)
        assert task.sample_of(sample.as_dict()) == sample
        assert sample.name == task.sample_name
        assert data.example(sample.size) == sample.input_shape(sample.size)
        assert ingested.digest
        assert ingested.nbytes > 0

    def test_samples_are_prepared_alike_alone_and_together(
        self, task: LearningTask, ingested: Ingested, data: Data
    ) -> None:
        size = task.sample(ingested.facts()).size
        together = data.prepared(data.train.inputs[:3], size).numpy()
        assert together.shape == (3, *data.example(size)[1:])
        assert np.isfinite(together).all()
        for number in range(3):
            alone = data.prepared(data.train.inputs[number : number + 1], size).numpy()
            assert np.allclose(alone[0], together[number], atol=1e-5)

    def test_metrics_have_a_direction_and_a_name_each(self, task: LearningTask) -> None:
        names = [one.name for one in task.metrics]
        assert names
        assert len(set(names)) == len(names)
        assert task.metric() is task.metrics[0]
        for one in task.metrics:
            assert task.metric(one.name) is one
            assert (one.score(one.best), one.score(one.worst)) == (1.0, 0.0)
            assert one.of_score(one.score(0.37)) == pytest.approx(0.37)
            assert one.text(0.37, 0.01)
        with pytest.raises(InvalidSpec, match=names[0]):
            task.metric("no such metric")

    def test_right_answers_are_better_than_others(self, task: LearningTask, data: Data) -> None:
        """What a network learns is better by every metric than what it started with."""
        targets = data.test.targets.numpy()
        n_outputs = self._n_outputs(task, data)
        guessed = self._guessed(targets, n_outputs)
        right = self._right(task, targets, n_outputs)
        for metric in task.metrics:
            values = [metric.value(task.judge(one, targets)) for one in (guessed, right)]
            assert metric.score(values[0]) < metric.score(values[1])
            judged = task.judge(right, targets)
            assert judged.n == len(targets)
            assert metric.standard_error(judged) > 0
        assert task.agreement(right, right) == 1.0
        assert 0.0 <= task.agreement(guessed, right) < 1.0

    def test_losses_fall_towards_the_targets(self, task: LearningTask, data: Data) -> None:
        import torch

        targets = data.train.targets[:32]
        n_outputs = self._n_outputs(task, data)
        right = torch.from_numpy(self._right(task, targets.numpy(), n_outputs)).float()
        guessed = torch.randn(right.shape, generator=torch.Generator().manual_seed(0))
        assert float(task.loss(right, targets)) < float(task.loss(guessed, targets))
        outputs = guessed.clone().requires_grad_()
        task.distillation_loss(outputs, right).backward()  # type: ignore[no-untyped-call]  # torch stubs
        assert outputs.grad is not None
        assert torch.isfinite(outputs.grad).all()
        assert outputs.grad.abs().sum() > 0
        mean = task.mean_answer(torch.stack([right, right]))
        assert task.agreement(mean.numpy(), right.numpy()) == 1.0

    def test_what_a_bundle_gets_is_text(
        self, task: LearningTask, ingested: Ingested, data: Data
    ) -> None:
        facts = ingested.facts()
        assert all(isinstance(text, str) for text in task.bundle_files(facts).values())
        assert task.preprocessing(facts, data, task.sample(facts).size)

    def _guessed(self, targets: np.ndarray, n_outputs: int) -> np.ndarray:
        """Outputs of a network that has learned nothing; of more axes, a task overrides this."""
        return np.random.default_rng(0).standard_normal((len(targets), n_outputs))

    def _n_outputs(self, task: LearningTask, data: Data) -> int:
        """Numbers that a network gives; a task whose targets say less overrides this."""
        del task
        targets = data.train.targets
        return int(targets.max()) + 1 if targets.ndim == 1 else int(targets.shape[1])

    def _right(self, task: LearningTask, targets: np.ndarray, n_outputs: int) -> np.ndarray:
        """Outputs that answer rightly: the targets, or all weight on the class that they number."""
        del task
        if targets.ndim > 1:
            return targets.astype(np.float64)
        return np.asarray(10.0 * np.eye(n_outputs)[targets])
