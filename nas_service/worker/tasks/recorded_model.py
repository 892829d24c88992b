"""A model of any signature with samples of its own: read, answered, passed through graph passes."""

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lookup_tables.target import Target
from nas_service.compilation.uploads.inspect import inspect_signature
from nas_service.compilation.uploads.refusal import bad
from nas_service.compilation.verify import answers_of
from nas_service.compression.base import GraphContext
from nas_service.compression.graph_samples import RecordedSamples
from nas_service.compression.on_uploads import require_takes
from nas_service.compression.recipe import Recipe
from nas_service.engine.child import Progress
from nas_service.errors import InvalidData, InvalidSpec, StepFailed
from nas_service.jobs.params import CompressionJob
from nas_service.output_metrics.by_name import output_metric
from nas_service.recorded.feeds import Named, save_recorded
from nas_service.recorded.given import Given, read_given
from nas_service.recorded.signature import Signature
from nas_service.storage import artifacts
from nas_service.worker.context import Context
from nas_service.worker.delivery.model_judges import REFERENCE, SIGNATURE

MIN_SAMPLES = 8
_VALIDATION_SHARE = 0.25
_TEST_SHARE = 0.4
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
    given = _given(context, job.samples, signature, "samples")
    judged = _given(context, job.test, signature, "test") if job.test else None
    ranges, validation, test, notes = _parts(given, judged, job)
    notes = [*told["notes"], *notes, *_about_sizes(signature, (*given.samples, *test.samples))]
    report(0.2, f"asking the model: {len(test) + len(validation)} samples")
    names = [one.name for one in signature.outputs]
    save_recorded(folder / "calibration.npz", ranges)
    save_recorded(folder / "test.npz", test.samples)
    answers = _answered(graph, validation, names, folder)
    save_recorded(folder / REFERENCE, _answered(graph, test, names, folder))
    if test.targets is not None:
        targets = [{"targets": np.asarray(one)} for one in test.targets]
        save_recorded(folder / "targets.npz", targets)
    metric = output_metric(job.metric)
    if metric.needs_targets and test.targets is None:
        raise InvalidSpec(
            f"metric {metric.name} needs to know what is right: give targets beside the inputs of "
            "the test samples",
            field="metric",
        )
    if metric.needs_targets and validation.targets is None:
        # what passes hold layers to is then agreement with the original
        metric = output_metric("fidelity")
    samples = RecordedSamples(ranges, validation, answers, metric)
    return RecordedModel(
        stored.name,
        graph,
        GraphContext(samples, job.seed, keep_float=tuple(job.keep_float)),
        tuple(notes),
    )


def _given(context: Context, wanted: Sequence[str], signature: Signature, field: str) -> Given:
    found: list[Given] = []
    for one in wanted:
        with context.database.session() as session:
            stored = artifacts.get_artifact(session, one)
        with context.blobs.local(stored.sha256) as path:
            found.append(read_given([path], signature, field))
    samples = tuple(sample for one in found for sample in one.samples)
    if any(one.targets is None for one in found):
        return Given(samples)
    return Given(samples, tuple(target for one in found for target in one.targets or ()))


def _parts(
    given: Given, test: Given | None, job: CompressionJob
) -> tuple[list[Named], Given, Given, list[str]]:
    """Samples for ranges, for passes to judge by, and for the verdict, drawn by the seed."""
    if len(given) < MIN_SAMPLES:
        raise InvalidData(
            f"there are {len(given)} samples; ranges of activations need {MIN_SAMPLES} at least",
            field="samples",
        )
    rows = np.random.default_rng(job.seed).permutation(len(given))
    notes = []
    if test is None:
        cut = max(2, round(_TEST_SHARE * len(given)))
        test, rows = _picked(given, np.sort(rows[:cut])), rows[cut:]
        notes.append(
            f"no test samples were given: {cut} of {len(given)} are held back for judging; samples "
            "of one recording may stand on both sides"
        )
    cut = max(1, round(_VALIDATION_SHARE * len(rows)))
    validation = _picked(given, np.sort(rows[:cut]))
    ranges = [given.samples[row] for row in np.sort(rows[cut:])]
    if len(test) > job.max_test_images:
        notes.append(f"judged on the first {job.max_test_images} of {len(test)} test samples")
        test = _picked(test, np.arange(job.max_test_images))
    return ranges, validation, test, notes


def _picked(given: Given, rows: np.ndarray) -> Given:
    targets = None if given.targets is None else tuple(given.targets[row] for row in rows)
    return replace(given, samples=tuple(given.samples[row] for row in rows), targets=targets)


def _answered(graph: Path, given: Given, names: Sequence[str], folder: Path) -> list[Named]:
    """What the original says to the samples.

    Raises:
        InvalidData: it breaks on one, gives what is no number, or another answer when asked again.
    """
    target = Target("this-machine", "onnxruntime", "", "fp32")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        shown, out = Path(scratch) / "shown.npz", Path(scratch) / "told.npz"
        save_recorded(shown, [*given.samples, *given.samples[:_TWICE]])
        try:
            told = answers_of(graph, target, shown, out, names)
        except StepFailed as error:
            raise bad(f"it does not run on the samples: {error}") from error
    answers, again = told[: len(given)], told[len(given) :]
    for number, answer in enumerate(answers):
        for name, values in answer.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise bad(f"its output {name} to sample {number} is not finite")
    for first, second in zip(answers, again, strict=False):
        for name, values in first.items():
            if not np.allclose(values, second[name], rtol=1e-3, atol=1e-5):
                raise bad(f"its output {name} is another one each time the same sample is given")
    return answers


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
