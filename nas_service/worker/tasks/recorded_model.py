"""A model of any signature with samples of its own: read, answered, passed through graph passes."""

from __future__ import annotations

import difflib
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lookup_tables.target import Target
from nas_service.compilation.process import Limits
from nas_service.compilation.uploads.inspect import inspect_signature
from nas_service.compilation.uploads.refusal import bad
from nas_service.compilation.verify import LIMITS, answers_of
from nas_service.compression.base import GraphContext
from nas_service.compression.graph_samples import RecordedSamples
from nas_service.compression.on_uploads import require_takes
from nas_service.compression.recipe import Recipe
from nas_service.engine.child import Progress
from nas_service.errors import InvalidData, InvalidSpec, StepFailed
from nas_service.jobs.params import CompressionJob
from nas_service.output_metrics.base import OutputMetric
from nas_service.output_metrics.by_name import DEFAULT, output_metric
from nas_service.recorded.feeds import Named, save_recorded
from nas_service.recorded.given import Given, read_given
from nas_service.recorded.outputs import JudgedOutputs
from nas_service.recorded.signature import Signature
from nas_service.storage import artifacts
from nas_service.worker.context import Context
from nas_service.worker.delivery.model_judges import REFERENCE, SIGNATURE

MIN_SAMPLES = 8
MIN_TEST = 4
"""With fewer nothing can be said of what varies from sample to sample."""
MAX_RANGES = 256
MAX_JUDGED_BYTES = 128 * 1024**2
"""Of answers; judging takes about twenty times as much memory."""
MAX_JUDGED_S = 240.0
"""For all answers of one part."""
_TEST_SHARE = 0.4
_FIRST = Limits(time_s=120.0)
"""For the first few samples, of a model that may never end."""
_TWICE = 4
"""Samples that a model has to answer alike when it is asked again."""


@dataclass(frozen=True)
class RecordedModel:
    """The model's file with its samples in parts, and what was changed or noticed."""

    name: str
    graph: Path
    context: GraphContext
    notes: tuple[str, ...]


def open_recorded(
    context: Context, job: CompressionJob, recipe: Recipe, folder: Path, report: Progress
) -> RecordedModel:
    """Read model and samples; `folder` gets all that judging and measuring need.

    Raises:
        InvalidData: the model or its samples are refused.
        InvalidSpec: a node that is to stay in float is not there, or the metric does not fit.
    """
    assert job.artifact is not None
    require_takes(recipe, is_graph=True)
    with context.database.session() as session:
        stored = artifacts.get_artifact(session, job.artifact)
    graph = folder / "original.onnx"
    with context.blobs.local(stored.sha256) as path:
        told = inspect_signature(path, graph)
    if told["quantised"]:
        raise bad(
            "its layers are in integers already; give the float model that it was made of, as what "
            "is quantised twice loses twice"
        )
    _require_layers(job.keep_float, told["layers"])
    signature = Signature.from_dict(told["signature"])
    (folder / SIGNATURE).write_text(json.dumps(signature.as_dict()))
    metric = output_metric(job.metric)
    metric.require_output([one.name for one in signature.outputs])
    given = _given(context, job.samples, signature, "samples")
    judged = _given(context, job.test, signature, "test") if job.test else None
    ranges, test, notes = _parts(given, judged, job)
    notes = [*told["notes"], *notes, *_about_sizes(signature, (*given.samples, *test.samples))]
    report(0.05, f"asking the model: {len(test) + len(ranges)} samples")
    asked = _Asked(graph, [one.name for one in signature.outputs], folder)
    # those for ranges, too: quantisers run them outside of limits
    ranges, answers, fewer = asked.answers(ranges, "samples")
    test, right, fewer_tests = asked.answers(test, "test samples")
    notes += [*fewer, *fewer_tests]
    save_recorded(folder / "calibration.npz", ranges.samples)
    save_recorded(folder / "test.npz", test.samples)
    save_recorded(folder / REFERENCE, right)
    if test.targets is not None:
        targets = [{"targets": np.asarray(one)} for one in test.targets]
        save_recorded(folder / "targets.npz", targets)
    metric.value(JudgedOutputs(right, right, test.targets))  # what does not fit is told now
    samples = RecordedSamples(ranges, answers, _for_passes(metric, ranges, answers))
    return RecordedModel(
        stored.name,
        graph,
        GraphContext(samples, job.seed, keep_float=tuple(job.keep_float)),
        tuple(notes),
    )


def _for_passes(metric: OutputMetric, given: Given, answers: Sequence[Named]) -> OutputMetric:
    """What passes hold graphs to: the metric, or agreement where it cannot judge their samples."""
    try:
        metric.value(JudgedOutputs(answers, answers, given.targets))
    except InvalidSpec:
        return output_metric(DEFAULT)
    return metric


def _given(context: Context, wanted: Sequence[str], signature: Signature, field: str) -> Given:
    found: list[Given] = []
    for one in wanted:
        with context.database.session() as session:
            stored = artifacts.get_artifact(session, one)
        with context.blobs.local(stored.sha256) as path:
            found.append(read_given([path], signature, field, names=[stored.name]))
    samples = tuple(sample for one in found for sample in one.samples)
    known = [one.targets is not None for one in found]
    if any(known) and not all(known):
        raise InvalidData("targets are in some of the files and not in others", field=field)
    if not any(known):
        return Given(samples)
    return Given(samples, tuple(target for one in found for target in one.targets or ()))


def _parts(given: Given, test: Given | None, job: CompressionJob) -> tuple[Given, Given, list[str]]:
    """Samples for ranges and for passes to judge by, and those for the verdict."""
    if len(given) < MIN_SAMPLES:
        raise InvalidData(
            f"there are {len(given)} samples; ranges of activations need {MIN_SAMPLES} at least",
            field="samples",
        )
    _require_varied(given, "samples")
    if test is not None:
        if len(test) < MIN_TEST:
            raise InvalidData(
                f"there are {len(test)} test samples; {MIN_TEST} at least tell what varies",
                field="test",
            )
        _require_varied(test, "test")
        both = {_digest(one) for one in given.samples} & {_digest(one) for one in test.samples}
        notes = [f"{len(both)} test samples are among the samples, too"] if both else []
    else:
        rows = np.random.default_rng(job.seed).permutation(len(given))
        cut = max(MIN_TEST, round(_TEST_SHARE * len(given)))
        notes = [
            f"no test samples were given: {cut} of {len(given)} are held back for judging; samples "
            "of one recording may stand on both sides"
        ]
        test, given = _picked(given, np.sort(rows[:cut])), _picked(given, np.sort(rows[cut:]))
    if len(test) > job.max_test_images:
        notes.append(f"judged on {job.max_test_images} of {len(test)} test samples, spread evenly")
        test = _spread(test, job.max_test_images)
    if len(given) > MAX_RANGES:
        notes.append(f"ranges are of {MAX_RANGES} of {len(given)} samples, spread evenly")
        given = _spread(given, MAX_RANGES)
    return given, test, notes


def _require_varied(given: Given, field: str) -> None:
    if len({_digest(one) for one in given.samples}) == 1:
        raise InvalidData(
            f"all {len(given)} samples are the same: nothing can be said of what varies",
            field=field,
        )


def _digest(sample: Named) -> str:
    digest = hashlib.sha256()
    for name in sorted(sample):
        digest.update(sample[name].tobytes())
    return digest.hexdigest()


def _picked(given: Given, rows: np.ndarray) -> Given:
    targets = None if given.targets is None else tuple(given.targets[row] for row in rows)
    return replace(given, samples=tuple(given.samples[row] for row in rows), targets=targets)


def _spread(given: Given, n: int) -> Given:
    """So many of them, as far apart as they lie: recordings follow each other."""
    return _picked(given, np.unique(np.rint(np.linspace(0, len(given) - 1, n)).astype(int)))


@dataclass(frozen=True)
class _Asked:
    """The original, and what it says to samples, within limits of time and of what is kept."""

    graph: Path
    names: Sequence[str]
    folder: Path

    def answers(self, given: Given, what: str) -> tuple[Given, list[Named], list[str]]:
        """Samples with answers: as many as can be judged, and a note where those are fewer.

        Raises:
            InvalidData: it breaks on one, gives what is no number, or another answer when asked
                again.
        """
        few = _spread(given, min(_TWICE, len(given)))
        started = time.monotonic()
        first = self._told(few, _FIRST)
        each_s = (time.monotonic() - started) / len(few)
        for number, answer in enumerate(first):
            _require_finite(answer, number)
        for answer, again in zip(first, self._told(few), strict=True):
            for name, values in answer.items():
                alike = values.shape == again[name].shape
                if not alike or not np.allclose(values, again[name], rtol=1e-3, atol=1e-5):
                    raise bad(f"its output {name} is another one each time for the same sample")
        each_bytes = max(sum(one.nbytes for one in answer.values()) for answer in first)
        most = int(min(MAX_JUDGED_BYTES // max(each_bytes, 1), MAX_JUDGED_S / max(each_s, 1e-6)))
        most = max(most, MIN_TEST)
        notes = []
        if most < len(given):
            notes.append(
                f"{most} of {len(given)} {what}, spread evenly, are used: each takes {each_s:.2g} "
                f"s and has {each_bytes:,} bytes of answers"
            )
            given = _spread(given, most)
        answers = self._told(given)
        for number, answer in enumerate(answers):
            _require_finite(answer, number)
        return given, answers, notes

    def _told(self, given: Given, limits: Limits = LIMITS) -> list[Named]:
        target = Target("this-machine", "onnxruntime", "", "fp32")
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            shown, out = Path(scratch) / "shown.npz", Path(scratch) / "told.npz"
            save_recorded(shown, given.samples)
            try:
                return answers_of(self.graph, target, shown, out, self.names, limits)
            except StepFailed as error:
                raise bad(f"it does not run on the samples: {error}") from error


def _require_finite(answer: Named, number: int) -> None:
    for name, values in answer.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise bad(f"its output {name} to sample {number} is not finite")


def _about_sizes(signature: Signature, samples: Sequence[Named]) -> list[str]:
    sizes = {tuple(one.shape for one in sample.values()) for sample in samples}
    if signature.has_open_sizes and len(sizes) == 1:
        return ["its sizes are open and all samples are of one: nothing is said of other sizes"]
    if len(sizes) > 1:
        return [f"samples are of {len(sizes)} sizes; it is timed on the first test sample's"]
    return []


def _require_layers(wanted: Sequence[str], layers: Sequence[str]) -> None:
    for name in wanted:
        if name not in layers:
            near = difflib.get_close_matches(name, layers, n=3) or list(layers[:3])
            raise InvalidSpec(
                f"the model has no layer {name!r} to keep in float; it has {', '.join(near)}, ... "
                f"({len(layers)} in all)",
                field="keep_float",
            )
