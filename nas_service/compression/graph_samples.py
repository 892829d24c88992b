"""What passes on graphs know of a model: of a data set, or of samples that were recorded for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from lookup_tables.loading import may_break, require_loads
from lookup_tables.model import joined
from lookup_tables.target import Target
from nas_service.compression.base import GraphContext, GraphSamples, PassContext
from nas_service.errors import InvalidSpec, as_unsupported
from nas_service.learning.base import LearningTask
from nas_service.output_metrics.base import OutputMetric
from nas_service.recorded.feeds import Array, Named
from nas_service.recorded.given import Given
from nas_service.recorded.outputs import JudgedOutputs, parity_of_outputs

_HELD_OUT = 256
_FOLDS = 8


def graph_context(context: PassContext, options: Mapping[str, Any] | None = None) -> GraphContext:
    """Of a network with a data set: ranges of training samples, scores of validation samples."""
    own = context.options if options is None else options
    return GraphContext(DataSamples(context), context.seed, own)


class DataSamples(GraphSamples):
    """Of a data set, for graphs of one input, by the learning task's first metric."""

    def __init__(self, context: PassContext) -> None:
        self._context = context

    def for_ranges(self, graph: Path, wanted: int) -> Sequence[Named]:
        """See `GraphSamples.for_ranges`."""
        return _batches(graph, calibration_inputs(self._context, wanted))

    def held_out(self, graph: Path) -> Sequence[Named]:
        """See `GraphSamples.held_out`."""
        data = self._context.data
        some = data.validation.inputs[:_HELD_OUT]
        return _batches(graph, data.prepared(some, self._context.size).contiguous().numpy())

    def score(self, graph: Path) -> float:
        """See `GraphSamples.score`."""
        targets = self._context.data.validation.targets[:_HELD_OUT].numpy()
        outputs = np.concatenate([joined(one) for one in outputs_of(graph, self.held_out(graph))])
        return _score(self._context.data.task, outputs, targets)


@dataclass(frozen=True)
class RecordedSamples(GraphSamples):
    """Samples that were recorded for this model, beside what the original answered to them.

    Ranges come from them, and graphs are scored on them: a range of all that was seen learns
    nothing of a sample but how large it is, and few samples would tell losses apart too coarsely.
    A score is one standard error of its difference to the original's below what was found, as it
    has to hold on other samples.
    """

    given: Given
    answers: Sequence[Named]
    metric: OutputMetric

    def for_ranges(self, graph: Path, wanted: int) -> Sequence[Named]:
        """See `GraphSamples.for_ranges`."""
        del graph
        return self.given.samples[:wanted]

    def held_out(self, graph: Path) -> Sequence[Named]:
        """See `GraphSamples.held_out`."""
        del graph
        return self.given.samples

    def score(self, graph: Path) -> float:
        """See `GraphSamples.score`."""
        names = tuple(self.answers[0])
        found = [
            dict(zip(names, one, strict=True)) for one in outputs_of(graph, self.given.samples)
        ]
        judged = JudgedOutputs(found, self.answers, self.given.targets)
        if not judged.comparable:
            return -np.inf
        value = self.metric.value(judged) - self._error(judged)
        # what would not pass for the same network is worth nothing, whatever the metric looks at
        return value if parity_of_outputs(judged, "int8", 1.0).ok else -np.inf

    def _error(self, judged: JudgedOutputs) -> float:
        """Standard error of the metric's difference to the original's: jackknife over parts."""
        n = len(judged.found)
        if n < 2 * _FOLDS:
            return 0.0
        theirs = JudgedOutputs(judged.original, judged.original, judged.targets)
        try:
            lost = [
                self.metric.value(_some(theirs, rows)) - self.metric.value(_some(judged, rows))
                for rows in ([i for i in range(n) if i % _FOLDS != fold] for fold in range(_FOLDS))
            ]
        except InvalidSpec:  # without a part there are too few of something, as of a class
            return 0.0
        return float(np.sqrt((_FOLDS - 1) * np.var(lost)))


def _some(judged: JudgedOutputs, rows: Sequence[int]) -> JudgedOutputs:
    targets = None if judged.targets is None else [judged.targets[row] for row in rows]
    return JudgedOutputs(
        [judged.found[row] for row in rows], [judged.original[row] for row in rows], targets
    )


def outputs_of(graph: Path, feeds: Sequence[Named]) -> list[list[Array]]:
    """What a graph gives to each sample, in its outputs' order.

    Raises:
        Unsupported: ONNX Runtime breaks where it loads the graph.
    """
    if may_break(graph):
        with as_unsupported("ONNX Runtime cannot load it"):
            require_loads(graph, Target("here", "onnxruntime", ort.__version__, "fp32"))
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    return [[np.asarray(out) for out in session.run(None, dict(one))] for one in feeds]


def calibration_inputs(context: PassContext, wanted: int = 128) -> np.ndarray:
    """Prepared training samples drawn by the context's seed: `(n, ...)`.

    Raises:
        InvalidSpec: they do not fit.
    """
    most = context.data.most_prepared(context.size)
    if min(wanted, len(context.data.train)) > most:
        shape = " x ".join(map(str, context.data.example(context.size)[1:]))
        raise InvalidSpec(
            f"{wanted} {context.data.task.samples} of {shape} are too many to find ranges with; "
            f"at most {most} fit",
            field="n_images",
        )
    generator = torch.Generator().manual_seed(context.seed)
    rows = torch.randperm(len(context.data.train), generator=generator)[:wanted]
    prepared = context.data.prepared(context.data.train.inputs[rows], context.size)
    return np.asarray(prepared.contiguous().numpy())


def _batches(graph: Path, inputs: Array) -> list[Named]:
    """Samples one a batch, by the graph's input."""
    name = onnx.load(graph, load_external_data=False).graph.input[0].name
    return [{name: inputs[i : i + 1]} for i in range(len(inputs))]


def _score(task: LearningTask, outputs: Array, targets: Array) -> float:
    """By the task's first metric."""
    metric = task.metric()
    return metric.score(metric.value(task.judge(outputs, targets)))
