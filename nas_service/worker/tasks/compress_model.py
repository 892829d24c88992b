"""Run a recipe on a model: its files before and after, in every form that converters read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from nas_service.compilation.samples import save_samples
from nas_service.compilation.uploads.answers import answers_of
from nas_service.compression.apply import apply_torch
from nas_service.compression.base import GraphContext, OnnxPass, PassContext
from nas_service.compression.distillation import answering
from nas_service.compression.graph_samples import calibration_inputs, graph_context
from nas_service.compression.on_uploads import require_takes
from nas_service.compression.recipe import Recipe, Step
from nas_service.compression.report import report_of
from nas_service.compression.structured import STRUCTURED
from nas_service.compression.weight_sharing import entropy_coded, pack
from nas_service.engine.child import Progress
from nas_service.errors import Unsupported, as_unsupported
from nas_service.jobs.params import CompressionJob
from nas_service.learning.augmentations import NONE
from nas_service.learning.base import Data, Split
from nas_service.lineage import lineage
from nas_service.networks.export import export, export_program
from nas_service.plugins import ONNX_PASSES, load
from nas_service.storage import artifacts
from nas_service.training.loop import outputs_of
from nas_service.worker.context import Context
from nas_service.worker.delivery.model_files import NOT_IN_INT8
from nas_service.worker.tasks.models import N_CALIBRATION, OpenModel, open_model
from nas_service.worker.tasks.recorded_model import MAX_RANGES, open_recorded


def compress_model(context: Context, job: CompressionJob, report: Progress) -> None:
    """Apply `recipe` to the model of compression `compression_id`; its files become artifacts."""
    recipe = Recipe.of(job.recipe)
    folder = context.scratch(f"compress-{job.compression_id}")
    try:
        report(0.0, "loading the model")
        if job.samples:
            done = _run_on_recorded(context, job, recipe, folder, report)
        else:
            model = open_model(context, job, folder, report, before_training=partial(_try, recipe))
            _samples(model, job, folder)
            passes = _run(model, recipe, job, folder, report)
            done = _Done(model.name, passes, model.made_ready)
        report(0.95, "storing files")
        (folder / "passes.json").write_text(json.dumps(done.passes, indent=1))
        (folder / "made_ready.json").write_text(json.dumps(done.notes, indent=1))
        from_what = lineage(seed=job.seed, model=done.model, recipe=recipe.as_list())
        with context.database.session() as session:
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    artifacts.add_artifact(
                        session,
                        context.blobs,
                        path,
                        owner=job.compression_id,
                        name=path.name,
                        kind=_KINDS.get(path.suffix, "file"),
                        lineage=from_what,
                    )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Done:
    """What was done to a model of that name: reports of passes, and notes on what was changed."""

    model: str
    passes: list[dict[str, Any]]
    notes: tuple[str, ...]


def _try(recipe: Recipe, network: nn.Module, data: Data, size: int) -> None:
    """Raise what passes that remove channels would, before hours of training."""
    tried = PassContext(data, size, seed=0)
    for step in recipe.torch_steps:
        if step.options.get("augment", NONE) != NONE:
            some = data.train.inputs[:1]
            data.varied(some, torch.Generator().manual_seed(0), str(step.options["augment"]))
        if step.name in STRUCTURED:
            network = apply_torch(step, network, tried)


_KINDS = {".onnx": "onnx", ".pt2": "torch_program", ".npz": "samples", ".json": "report"}


def _run(
    model: OpenModel, recipe: Recipe, job: CompressionJob, folder: Path, report: Progress
) -> list[dict[str, Any]]:
    """Write original and compressed forms below `folder`; gives a report a pass."""
    plain = PassContext(model.data, model.size, seed=job.seed)
    if model.network is None:
        require_takes(recipe, is_graph=model.graph is not None)
        return _run_on_upload(model, recipe, plain, folder, report)
    network, shape = model.network.eval(), model.data.example(model.size)
    export(network, folder / "original.onnx", shape)
    export_program(network, folder / "original.pt2", shape)
    taught = replace(plain, teacher=answering(network, plain), teacher_network=network)
    _save_outputs(network, model, job, folder / "original-reference.npz")
    reports = [report_of("original", {}, network, plain).as_dict()]
    n_steps = max(1, len(recipe.steps))
    for number, step in enumerate(recipe.torch_steps):
        report(0.4 + 0.5 * number / n_steps, step.name)
        network = apply_torch(step, network, taught)
        reports.append(report_of(step.name, dict(step.options), network, plain).as_dict())
    final = apply_torch(None, network, taught)
    export(final, folder / "compressed.onnx", shape)
    export_program(final, folder / "compressed.pt2", shape)
    if any(step.name == "cluster" for step in recipe.steps):
        pack(folder / "compressed.onnx", folder / "packed.onnx")
        entropy_coded(folder / "packed.onnx", folder / "packed.onnx.xz")
    _save_outputs(final, model, job, folder / "reference.npz")
    _graph_passes(recipe.onnx_steps, graph_context(taught), folder, report)
    return reports


def _save_outputs(network: nn.Module, model: OpenModel, job: CompressionJob, path: Path) -> None:
    """What the module itself answers to the test samples: files are compared with that."""
    outputs = outputs_of(network, model.data, _judged(model, job).inputs, model.size)
    save_samples(path, outputs=outputs.numpy())


def _run_on_upload(
    model: OpenModel, recipe: Recipe, context: PassContext, folder: Path, report: Progress
) -> list[dict[str, Any]]:
    given = model.graph or model.program
    assert given is not None
    shutil.copyfile(given, folder / f"compressed{given.suffix}")
    report(0.4, "asking the model")
    # with all samples that quantisers will show it, before they run it outside of limits
    samples = [folder / "test.npz", folder / "calibration.npz"]
    answers_of(given, samples, folder / "reference.npz")
    _graph_passes(recipe.onnx_steps, graph_context(context), folder, report)
    return []


def _run_on_recorded(
    context: Context, job: CompressionJob, recipe: Recipe, folder: Path, report: Progress
) -> _Done:
    model = open_recorded(context, job, recipe, folder, report)
    shutil.copyfile(model.graph, folder / "compressed.onnx")
    asked = recipe.onnx_steps
    if asked or not any(one["precision"] == "int8" for one in job.targets):
        _graph_passes(asked, model.context, folder, report)
        return _Done(model.name, [], model.notes)
    # int8 without more words: as much in integers as keeps the score; a quarter of what may be lost
    # is left for samples that no layer was chosen by
    options = {"max_loss": 0.75 * job.max_loss, "n_images": MAX_RANGES, "fastest": True}
    step = Step("mixed_int8", options)
    try:
        _graph_passes([step], model.context, folder, report)
    except Unsupported as error:  # then no target gets int8, and says why
        (folder / NOT_IN_INT8).write_text(json.dumps(str(error)))
        return _Done(model.name, [], (*model.notes, f"not in int8: {error}"))
    return _Done(model.name, [], model.notes)


def _graph_passes(
    steps: Sequence[Step], context: GraphContext, folder: Path, report: Progress
) -> None:
    """The passes on the graph, from `compressed.onnx` to `graph.onnx`."""
    source, made = folder / "compressed.onnx", folder / "graph.onnx"
    for step in steps:
        report(0.9, step.name)
        one: OnnxPass = load(ONNX_PASSES, step.name)()
        unfinished = folder / "graph.partial.onnx"
        one.apply(source, unfinished, replace(context, options=step.options))
        with as_unsupported(f"{step.name} cannot be made of this graph"):
            onnx.checker.check_model(unfinished)
        source = unfinished.replace(made)


def _judged(model: OpenModel, job: CompressionJob) -> Split:
    """The test samples that files are judged on."""
    return model.data.test.first(job.max_test_images)


def _samples(model: OpenModel, job: CompressionJob, folder: Path) -> None:
    """Prepared samples: for ranges of activations, and to judge files on."""
    context = PassContext(model.data, model.size, seed=job.seed)
    inputs = calibration_inputs(context, N_CALIBRATION)
    save_samples(folder / "calibration.npz", inputs=inputs)
    part = _judged(model, job)
    prepared = model.data.prepared(part.inputs, model.size).contiguous().numpy()
    save_samples(folder / "test.npz", inputs=prepared, targets=part.targets.numpy())
    preprocessing = model.dataset.task.preprocessing(model.dataset.facts, model.data, model.size)
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing, indent=1))
