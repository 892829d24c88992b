"""Make a search space of a user's own model: an exported program, or what a factory makes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas_service.compilation.uploads.inspect import inspect_trainable
from nas_service.engine.child import Progress
from nas_service.errors import InvalidData
from nas_service.jobs.params import SpaceJob
from nas_service.lineage import lineage
from nas_service.networks.elastic.analysis import make_elastic
from nas_service.plugins import MODEL_FACTORIES, load
from nas_service.storage import artifacts, datasets, spaces
from nas_service.storage.datasets import StoredDataset
from nas_service.worker.context import Context
from nas_service.worker.data import open_data


def make_space(context: Context, job: SpaceJob, report: Progress) -> None:
    """Find out what is elastic in a model; the space `space` is there afterwards.

    Raises:
        InvalidData: the model is refused, does not fit the data set, or has nothing to choose.
    """
    with context.database.session() as session:
        dataset = datasets.get_dataset(session, job.dataset_id)
        if job.space in spaces.own_spaces(session):
            return
    torch.manual_seed(0)
    folder = context.scratch(f"space-{job.space}")
    try:
        if job.definition is not None:
            file = _written(folder / "space.json", job.definition)
            with context.database.session() as session:
                spaces.add_described(session, context.blobs, job.space, file, lineage())
            return
        program = folder / "model.pt2"
        report(0.0, "reading the model")
        if job.factory is not None:
            _export(_made(job.factory, dataset), program, dataset)
        else:
            _upload(context, job.artifact or "", program)
        digest = hashlib.sha256(program.read_bytes()).hexdigest()
        loaded = torch.export.load(program)
        _require_fits(context, loaded, dataset, job)
        made = make_elastic(
            loaded,
            name=job.space,
            model_sha256=digest,
            mean=None if job.mean is None else tuple(job.mean),
            std=None if job.std is None else tuple(job.std),
            tell=lambda done, note: report(0.05 + 0.9 * done, note),
        )
        files = spaces.Made(
            description=_written(folder / "space.json", made.description.as_dict()),
            model=program,
            cuts=folder / "cuts.json",
            report=_written(folder / "report.json", made.report()),
        )
        files.cuts.write_bytes(made.cuts())
        from_what = lineage(model=job.factory or job.artifact, data=dataset.digest)
        with context.database.session() as session:
            spaces.add_space(session, context.blobs, job.space, files, from_what)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(json.dumps(values, separators=(",", ":")))
    return path


def _upload(context: Context, artifact_id: str, program: Path) -> None:
    """Check an uploaded program in a process of its own, and write it anew."""
    with context.database.session() as session:
        stored = artifacts.get_artifact(session, artifact_id)
    with context.blobs.local(stored.sha256) as blob:
        inspect_trainable(blob, program)


def _made(factory: str, dataset: StoredDataset) -> nn.Module:
    """The network of an installed factory, for samples of a data set."""
    sample = dataset.sample
    made = load(MODEL_FACTORIES, factory)(sample.input_shape(sample.size), sample.n_outputs)
    if not isinstance(made, nn.Module):
        kind = type(made).__name__
        raise InvalidData(f"model factory {factory!r} gives a {kind}, no torch module")
    return made.eval()


def _export(network: nn.Module, path: Path, dataset: StoredDataset) -> None:
    """Write a network as a program of any batch, or of one where it fixes that."""
    sample = dataset.sample
    shape = sample.input_shape(sample.size)[1:]
    try:
        dynamic = ({0: torch.export.Dim.DYNAMIC},)
        program = torch.export.export(network, (torch.zeros(2, *shape),), dynamic_shapes=dynamic)
    except Exception:  # noqa: BLE001  # torch raises what it likes: then the batch is fixed
        try:
            program = torch.export.export(network, (torch.zeros(1, *shape),))
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise InvalidData(
                f"torch.export refuses the factory's network: {lines[0]}", field="model"
            ) from error
    torch.export.save(program, path)


def _require_fits(context: Context, program: Any, dataset: StoredDataset, job: SpaceJob) -> None:
    """Raise `InvalidData` where the model does not read the data set's samples, or answers else."""
    (example,), _ = program.example_inputs
    data = open_data(context, dataset, 8)
    if job.mean is not None and job.std is not None:
        data = data.normalised(job.mean, job.std)
    shape = (1, *example.shape[1:])
    with torch.no_grad():
        outputs = program.module()(torch.zeros_like(example))
    if outputs.ndim != 2:
        raise InvalidData(
            f"the model answers {tuple(outputs.shape)}; numbers for each sample, (n, k), are "
            "needed",
            field="model",
        )
    data.require_model(shape, int(outputs.shape[1]))
    if dataset.sample.input_shape(shape[-1]) != shape:
        raise InvalidData(
            f"the model takes {shape}, the data set has samples of "
            f"{dataset.sample.input_shape(dataset.sample.size)}",
            field="model",
        )
