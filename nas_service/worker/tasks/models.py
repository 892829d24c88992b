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
from nas_service.networks.build import build
from nas_service.networks.reference import reference
from nas_service.space.base import input_size
from nas_service.storage import artifacts, datasets, searches
from nas_service.storage.datasets import StoredDataset
from nas_service.training.data import Data, most_prepared
from nas_service.training.loop import TrainRecipe, recalibrate, train
from nas_service.worker.context import Context, make_space
from nas_service.worker.images import open_images

MIN_IMAGES = 8
N_CALIBRATION = 128
"""Training images that ranges of activations come from."""


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
    channels: int
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
    with context.database.session() as session:
        dataset = datasets.get_dataset(session, job.dataset_id)
    data = open_images(context, dataset, job.max_train_images)
    if len(data.train) < MIN_IMAGES:
        raise InvalidData(
            f"data set {dataset.name!r} has {len(data.train)} training images; ranges of "
            f"activations need at least {MIN_IMAGES}",
            field="dataset",
        )
    if job.mean is not None and job.std is not None:
        data = _normalised(data, job.mean, job.std, dataset.image.channels)
    if job.artifact:
        return _upload(context, job, job.artifact, dataset, data, folder)
    if job.winner:
        return _winner(context, job, job.winner, dataset, data)
    if job.reference is None:
        raise InvalidSpec("no model is named", field="model")
    told = job.reference
    image = dataset.image
    size = told.size or image.size
    require_fits(data, image.channels, size, job.max_test_images)
    network = reference(
        told.name,
        channels=image.channels,
        size=size,
        classes=image.n_classes,
        width=told.width,
        seed=job.seed,
    )
    before_training(network, data, size)
    _train(network, data, size, told, job.seed, report)
    return OpenModel(told.name, dataset, data, size, image.channels, network)


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
    path = context.blobs.path(stored.sha256)
    normalised = folder / "original"
    told = inspect(path, normalised, shape=job.shape)
    if told["quantised"]:
        raise bad(
            "its layers are in integers already; give the float model that it was made of, as what "
            "is quantised twice loses twice"
        )
    channels, size = int(told["channels"]), int(told["size"])
    require_together(data, channels, int(told["classes"]))
    require_fits(data, channels, size, job.max_test_images)
    notes = tuple(told["notes"])
    found = OpenModel(stored.name, dataset, data, size, channels, None, made_ready=notes)
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
    if "weights.pt" not in stored:
        raise InvalidSpec(f"winner {winner_id!r} has no weights yet", field="winner")
    space = make_space(search.value.space, own.image)
    genotype = winner.genotype.row
    size = input_size(space, genotype)
    require_together(data, own.image.channels, own.image.n_classes)
    require_fits(data, own.image.channels, size, job.max_test_images)
    network = build(space, genotype, seed=0)
    state = torch.load(context.blobs.path(stored["weights.pt"].sha256), weights_only=True)
    network.load_state_dict(state)
    return OpenModel(winner_id, dataset, data, size, own.image.channels, network.eval())


def require_together(data: Data, channels: int, n_classes: int) -> None:
    """Raise `InvalidData` where a model of so many channels and classes cannot judge the images."""
    theirs, classes = data.train.images.shape[1], int(data.train.labels.max()) + 1
    if channels != theirs:
        raise InvalidData(
            f"the model takes {channels} channels, the data set's images have {theirs}",
            field="dataset",
        )
    if n_classes < classes:
        raise InvalidData(
            f"the model tells {n_classes} classes apart, the data set has {classes}",
            field="dataset",
        )


def require_fits(data: Data, channels: int, size: int, max_test_images: int) -> None:
    """Raise `InvalidSpec` where the images would not fit at the model's size."""
    most = most_prepared(channels, size)
    shape = f"{channels} x {size} x {size}"
    if most < N_CALIBRATION:
        raise InvalidSpec(
            f"the model takes images of {shape}, of which {most} fit into memory and "
            f"{N_CALIBRATION} are needed",
            field="model",
        )
    judged = min(max_test_images, len(data.test))
    if judged > most:
        raise InvalidSpec(
            f"{judged} test images of {shape} are too many; at most {most} fit",
            field="max_test_images",
        )


def _normalised(data: Data, mean: list[float], std: list[float], channels: int) -> Data:
    if len(mean) != channels or len(std) != channels:
        raise InvalidData(
            f"mean and std need a number for each of {channels} channels", field="mean"
        )
    return replace(data, mean=tuple(mean), std=tuple(std))
