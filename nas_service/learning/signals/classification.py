"""Signal classification: one of several classes for each window of a signal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nas_service.learning.classification.task import ClassificationTask
from nas_service.learning.signals.common import SignalTask


class SignalClassification(SignalTask, ClassificationTask):
    """Accelerometers, ECG, sensors: see `ClassificationTask` and `SignalTask`."""

    name = "signal_classification"
    label = "signal classification"

    def n_outputs(self, facts: Mapping[str, Any]) -> int:
        """See `SignalTask.n_outputs`: a logit a class."""
        return len(facts["classes"])

    def bundle_files(self, facts: Mapping[str, Any]) -> Mapping[str, str]:
        """See `LearningTask.bundle_files`."""
        return {"class_names.json": json.dumps(facts["classes"]), **super().bundle_files(facts)}
