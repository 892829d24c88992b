"""The models that a compression starts from: uploads, reference networks, winners of searches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from nas_service.compilation.uploads.inspect import inspect
from nas_service.compilation.uploads.refusal import bad
from nas_service.engine.child import Progress
from nas_service.errors import InvalidData, InvalidSpec
from nas_service.jobs.params import CompressionJob, ReferenceNetwork
from nas_service.learning.base import Data
from nas_service.networks.build import build
from nas_service.networks.reference.by_name import reference_for
from nas_service.space.base import input_size
from nas_service.space.elastic.space import ElasticSpace
from nas_service.space.wrapped import unwrapped
from nas_service.storage import artifacts, datasets, searches
from nas_service.storage.datasets import StoredDataset
from nas_service.training.loop import TrainRecipe, recalibrate, train
from nas_service.worker.context import Context, make_space
from nas_service.worker.data import open_data

MIN_SAMPLES = 8
N_CALIBRATION = 128
"""Training samples that ranges of activations come from."""


@dataclass(frozen=True)
class OpenModel:
    """A model with the data that it is judged on.

    `network` is None for an upload: passes on torch modules need the module's own layers, which
    neither graphs nor exported programs have.
    """

    name: str
    dataset: StoredDataset
    data: Data
    size: int
    network: nn.Module | None
    graph: Path | None = None
    program: Path | None = None
    made_ready: tuple[str, ...] = ()
    """What was changed in an upload before anything was made of it."""


def open_model(
    context: Context,
    job: CompressionJob,
    folder: Path,
    report: Progress,
    *,
    before_training: Callable[[nn.Module, Data, int], None],
) -> OpenModel:
    """The model that `job` names, trained where it is a reference network.

    `before_training` is asked first what would fail after it.

    Raises:
        InvalidData: the upload is refused, or model and data set do not go together.
    """
    assert job.dataset_id is not None
    with context.database.session() as session:
        dataset = datasets.get_dataset(session, job.dataset_id)
    data = open_data(context, dataset, job.max_train_images)
    if len(data.train) < MIN_SAMPLES:
        raise InvalidData(
            f"data set {dataset.name!r} has {len(data.train)} training samples; ranges of "
            f"activations need at least {MIN_SAMPLES}",
            field="dataset",
        )
    if job.mean is not None and job.std is not None:
        data = data.normalised(job.mean, job.std)
    if job.artifact:
        return _upload(context, job, job.artifact, dataset, data, folder)
    if job.winner:
        return _winner(context, job, job.winner, dataset, data)
    if job.reference is None:
        raise InvalidSpec("no model is named", field="model")
    told = job.reference
    sample = dataset.sample
    size = told.size or sample.size
    require_fits(data, size, job.max_test_images)
    network = reference_for(sample, told.name, size=size, width=told.width, seed=job.seed)
    before_training(network, data, size)
    _train(network, data, size, told, job.seed, report)
    return OpenModel(told.name, dataset, data, size, network)


def _train(
    network: nn.Module,
    data: Data,
    size: int,
    told: ReferenceNetwork,
    seed: int,
    report: Progress,
) -> None:
    recipe = TrainRecipe(
        epochs=told.epochs,
        batch=told.batch,
        learning_rate=told.learning_rate,
        flip=told.flip,
    )

    def on_epoch(done: int, of: int) -> None:
        report(0.4 * done / of, f"training {told.name}, epoch {done} of {of}")

    train(network, data, size, recipe, seed=seed, on_epoch=on_epoch)
    recalibrate(network, data, size)


def _upload(
    context: Context,
    job: CompressionJob,
    artifact_id: str,
    dataset: StoredDataset,
    data: Data,
    folder: Path,
) -> OpenModel:
    with context.database.session() as session:
        stored = artifacts.get_artifact(session, artifact_id)
    normalised = folder / "original"
    with context.blobs.local(stored.sha256) as path:
        told = inspect(path, normalised, shape=job.shape)
    if told["quantised"]:
        raise bad(
            "its layers are in integers already; give the float model that it was made of, as what "
            "is quantised twice loses twice"
        )
    size = int(told["size"])
    data.require_model((1, int(told["channels"]), size, size), int(told["classes"]))
    require_fits(data, size, job.max_test_images)
    notes = tuple(told["notes"])
    found = OpenModel(stored.name, dataset, data, size, None, made_ready=notes)
    if told["form"] == "onnx":
        return replace(found, graph=normalised.rename(folder / "original.onnx"))
    return replace(found, program=normalised.rename(folder / "original.pt2"))


def _winner(
    context: Context, job: CompressionJob, winner_id: str, dataset: StoredDataset, data: Data
) -> OpenModel:
    with context.database.session() as session:
        winner = searches.get_winner(session, winner_id)
        search = searches.get_search(session, winner.search_id)
        own = datasets.get_dataset(session, search.dataset_id)
        stored = {one.name: one for one in artifacts.artifacts_of(session, winner_id)}
    mine, asked = (
        (one.facts.get("target_mean", 0.0), one.facts.get("target_std", 1.0))
        for one in (own, dataset)
    )
    if mine != asked:
        raise InvalidSpec(
            f"winner {winner_id!r} answers in standard deviations of data set {own.name!r} (mean "
            f"{mine[0]:g}, deviation {mine[1]:g}); {dataset.name!r} has {asked[0]:g}, {asked[1]:g}",
            field="dataset",
        )
    if "weights.pt" not in stored:
        raise InvalidSpec(f"winner {winner_id!r} has no weights yet", field="winner")
    space = make_space(context, search.value.space, own.sample)
    genotype = winner.genotype.row
    size = input_size(space, genotype)
    taught = unwrapped(space)
    if isinstance(taught, ElasticSpace) and job.mean is None:
        data = taught.description.prepare(data)
    data.require_model(own.sample.input_shape(size), own.sample.n_outputs)
    require_fits(data, size, job.max_test_images)
    network = build(space, genotype, seed=0)
    with context.blobs.local(stored["weights.pt"].sha256) as path:
        state = torch.load(path, weights_only=True)
    network.load_state_dict(state)
    return OpenModel(winner_id, dataset, data, size, network.eval())


def require_fits(data: Data, size: int, max_test_samples: int) -> None:
    """Raise `InvalidSpec` where the samples would not fit at the model's size."""
    most = data.most_prepared(size)
    shape = " x ".join(map(str, data.example(size)[1:]))
    if most < N_CALIBRATION:
        raise InvalidSpec(
            f"the model takes {data.task.samples} of {shape}, of which {most} fit into memory and "
            f"{N_CALIBRATION} are needed",
            field="model",
        )
    judged = min(max_test_samples, len(data.test))
    if judged > most:
        raise InvalidSpec(
            f"{judged} test {data.task.samples} of {shape} are too many; at most {most} fit",
            field="max_test_images",
        )
