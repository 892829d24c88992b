"""Anomaly detection on signals: networks that give normal windows back, and others badly.

An autoencoder learns normal windows alone (Hinton and Salakhutdinov, 2006; as a denoising one,
Vincent et al., 2008): all of a window passes through a few numbers. The more the output differs
from the window, the less it is like what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_service.learning.base import Array, Data, Ingested, Progress
from nas_service.learning.metric import Judged, Metric
from nas_service.learning.outputs import NumbersTask
from nas_service.learning.signals.common import SignalTask
from nas_service.learning.signals.window import Window, answer_steps
from nas_service.space.base import Sample

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MOST_CODE = 16
_CLOSE = 0.3
"""Two networks say the same where they differ by less than this share of the answers' spread: by
ten decibels. Their scores are about as near as this squared; the AUC judges these."""
_FALSE_ALARMS = 0.01


@dataclass(frozen=True)
class Scores:
    """How far each window is from what was given back, and which are anomalies, both `(n,)`."""

    scores: Array
    anomalous: Array

    @property
    def n(self) -> int:
        """See `Judged.n`."""
        return len(self.scores)

    @cached_property
    def auc(self) -> float:
        """The chance that an anomaly scores higher than a normal window; equal ones count half.

        Half where either kind is absent: nothing is told then.
        """
        ranks = _ranks(self.scores)
        n_odd, n_usual = self._counts
        if not n_odd or not n_usual:
            return 0.5
        above = ranks[self.anomalous].sum() - n_odd * (n_odd + 1) / 2
        return float(above / (n_odd * n_usual))

    @property
    def auc_error(self) -> float:
        """Standard error of `auc` (Hanley and McNeil, 1982), never below that of one window."""
        n_odd, n_usual = self._counts
        if not n_odd or not n_usual:
            return 0.5
        one, two = self.auc / (2 - self.auc), 2 * self.auc**2 / (1 + self.auc)
        spread = (
            self.auc * (1 - self.auc)
            + (n_odd - 1) * (one - self.auc**2)
            + (n_usual - 1) * (two - self.auc**2)
        ) / (n_odd * n_usual)
        return float(max(np.sqrt(max(spread, 0.0)), 1.0 / self.n))

    @property
    def threshold(self) -> float:
        """The score that at most 1 % of the normal windows exceed."""
        usual = np.sort(self.scores[~self.anomalous])
        if not usual.size:
            return 0.0
        return float(usual[-1 - int(_FALSE_ALARMS * len(usual))])

    @property
    def found(self) -> float:
        """The share of anomalies above `threshold`."""
        found = self.scores[self.anomalous] > self.threshold
        return float(found.mean()) if found.size else 0.0

    @property
    def _counts(self) -> tuple[int, int]:
        n_odd = int(self.anomalous.sum())
        return n_odd, self.n - n_odd


class SignalAnomalies(SignalTask, NumbersTask):
    """Outputs are windows `(n, k)`, targets `(n, k + 1)`: the same and 1 of an anomaly or 0."""

    name = "signal_anomalies"
    label = "anomaly detection on signals"
    knows_normal = True
    metrics = (
        Metric(
            "auc", "AUC", lambda one: one.auc, lambda one: one.auc_error, worst=0.5, bounded=False
        ),
    )

    def ingest(
        self,
        source: Path,
        answers: Mapping[str, Any],
        *,
        tell: Progress,
        within: Sequence[Path],
        threads: int,
    ) -> Ingested:
        """See `LearningTask.ingest`: as other signals; anomalies are not trained on."""
        from nas_service.learning.signals.anomalies_read import read_anomalies
        from nas_service.learning.signals.answers import parse

        del threads
        return read_anomalies(source, parse(answers), tell=tell, within=within)

    def n_outputs(self, facts: Mapping[str, Any]) -> int:
        """See `SignalTask.n_outputs`: the window, averaged."""
        channels, steps = int(facts["channels"]), int(facts["size"])
        return channels * answer_steps(channels, steps)

    def sample(self, facts: Mapping[str, Any]) -> Sample:
        """See `LearningTask.sample`."""
        outputs = self.n_outputs(facts)
        code = max(1, min(MOST_CODE, outputs // 4))
        return Window(int(facts["size"]), int(facts["channels"]), outputs, code)

    def load(self, path: Path, *, max_train: int | None, device: torch.device) -> Data:
        """See `LearningTask.load`."""
        from nas_service.learning.signals.anomalies_data import load_anomalies

        return load_anomalies(path, self.name, max_train=max_train, device=device)

    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """See `LearningTask.loss`: squared error."""
        from torch.nn import functional

        del smoothing
        return functional.mse_loss(outputs, targets[:, : outputs.shape[1]])

    def judge(self, outputs: Array, targets: Array) -> Judged:
        """See `LearningTask.judge`."""
        scores = np.square(outputs - targets[:, :-1], dtype=np.float64).mean(axis=1)
        return Scores(scores, targets[:, -1] > 0.5)

    def agreement(self, outputs: Array, reference: Array) -> float:
        """See `LearningTask.agreement`."""
        spread = max(float(reference.std()), 1e-9)
        missed = np.sqrt(np.square(outputs - reference).mean(axis=1))
        return float((missed <= _CLOSE * spread).mean())

    def effective_samples(self, metric: Metric, facts: Mapping[str, Any], n: int) -> int:
        """See `LearningTask.effective_samples`: as many as the rarer kind allows."""
        del metric
        held_out = int(facts["n_validation"]) + int(facts["n_test"])
        share = int(facts["n_anomalous"]) / held_out
        return max(1, round(4 * share * (1 - share) * n))

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.details`: what is found where 1 % of normal windows raise an alarm."""
        del facts
        assert isinstance(judged, Scores)
        return {
            "anomalies": {
                "n_anomalous": int(judged.anomalous.sum()),
                "threshold": round(judged.threshold, 6),
                "found_at_1_percent_false_alarms": round(judged.found, 4),
            }
        }

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`; with what the output is to be compared with."""
        steps = answer_steps(int(facts["channels"]), int(facts["size"]))
        score = "mean squared difference of the output from the window, averaged to answer_steps"
        return {
            **super().preprocessing(facts, data, size),
            "normal": facts["normal"],
            "answer_steps": steps,
            "score": score,
        }


def _ranks(values: Array) -> Array:
    """Ranks from 1; equal values have their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    return ranks
