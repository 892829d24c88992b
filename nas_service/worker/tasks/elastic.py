"""Make a search space of a user's own model: an exported program, or what a factory makes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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
        given = torch.export.load(program)
        loaded = _fitted(context, given, dataset, job)
        if loaded is not given:
            torch.export.save(loaded, program)
        digest = hashlib.sha256(program.read_bytes()).hexdigest()
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


def _fitted(context: Context, program: Any, dataset: StoredDataset, job: SpaceJob) -> Any:
    """The program, answering as the data set asks: maps a class at the masks' own side.

    Raises:
        InvalidData: it does not read the data set's samples, or answers something else.
    """
    (example,), _ = program.example_inputs
    data = open_data(context, dataset, 8)
    if job.mean is not None and job.std is not None:
        data = data.normalised(job.mean, job.std)
    shape = (1, *example.shape[1:])
    with torch.no_grad():
        outputs = program.module()(torch.zeros_like(example))
    side = int(dataset.sample.as_dict().get("mask_side", 0))
    if side and outputs.ndim == 4:
        program = _at_side(program, outputs, side)
    elif side or outputs.ndim != 2:
        wanted = f"maps a class, (n, classes, {side}, {side}), are" if side else _NUMBERS
        raise InvalidData(
            f"the model answers {tuple(outputs.shape)}; {wanted} needed", field="model"
        )
    answers = int(outputs.shape[1]) * (side**2 if side else 1)
    data.require_model(shape, answers)
    if "target_std" in dataset.facts:
        program = _standardised(program, dataset.facts)
    if dataset.sample.input_shape(shape[-1]) != shape:
        raise InvalidData(
            f"the model takes {shape}, the data set has samples of "
            f"{dataset.sample.input_shape(dataset.sample.size)}",
            field="model",
        )
    return program


_NUMBERS = "numbers for each sample, (n, k), are"


class _Averaged(nn.Module):
    """A program's module, whose maps are averaged over squares of `times` pixels a side."""

    def __init__(self, model: nn.Module, times: int) -> None:
        super().__init__()
        self.model = model
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = nn.functional.avg_pool2d(self.model(x), self.times)
        return found


class _Standardised(nn.Module):
    """A program's module, whose numbers are told in standard deviations from a mean."""

    def __init__(self, model: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.model = model
        self.mean, self.std = mean, std

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = (self.model(x) - self.mean) / self.std
        return found


def _standardised(program: Any, facts: Mapping[str, Any]) -> Any:
    """The program with answers as the data set keeps its numbers, see `SignalRegression`."""
    mean, std = float(facts["target_mean"]), float(facts["target_std"])
    return _around(program, _Standardised(program.module(), mean, std))


def _at_side(program: Any, outputs: Tensor, side: int) -> Any:
    """The program with its maps averaged to `side`, exported again where they are larger."""
    height, width = outputs.shape[2:]
    if (height, width) == (side, side):
        return program
    if height != width or height % side:
        raise InvalidData(
            f"the model gives maps of {height} x {width}, the data set's masks are stored at "
            f"{side} x {side}: maps of that side, or of a multiple of it, are needed",
            field="model",
        )
    return _around(program, _Averaged(program.module(), height // side))


def _around(program: Any, module: nn.Module) -> Any:
    """A module around a program's own, exported as the program was."""
    (example,), _ = program.example_inputs
    batch = next(iter(program.range_constraints), None)
    dynamic = None if batch is None else ({0: torch.export.Dim.DYNAMIC},)
    return torch.export.export(module, (example,), dynamic_shapes=dynamic)
