"""The models that a compression starts from: uploads, reference networks, winners of searches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas_service.compilation.uploads.inspect import inspect
from nas_service.engine.child import Progress
from nas_service.errors import InvalidData, InvalidSpec
from nas_service.networks.build import build
from nas_service.networks.reference import reference
from nas_service.space.base import input_size
from nas_service.storage import artifacts, datasets, searches
from nas_service.training.data import Data
from nas_service.training.loop import TrainRecipe, recalibrate, train
from nas_service.worker.context import Context, make_space
from nas_service.worker.images import open_images

MIN_IMAGES = 8


@dataclass(frozen=True)
class OpenModel:
    """A model with the data that it is judged on.

    `network` is None for an upload: passes on torch modules need the module's own layers, which
    neither graphs nor exported programs have.
    """

    name: str
    data: Data
    size: int
    channels: int
    network: nn.Module | None
    graph: Path | None = None
    program: Path | None = None


def open_model(
    context: Context, params: dict[str, Any], folder: Path, report: Progress
) -> OpenModel:
    """The model that `params` names, trained where it is a reference network.

    Raises:
        InvalidData: the upload is refused, or model and data set do not go together.
    """
    with context.database.session() as session:
        dataset = datasets.get_dataset(session, params["dataset_id"])
    data = open_images(context, dataset, params.get("max_train_images"))
    if len(data.train) < MIN_IMAGES:
        raise InvalidData(
            f"data set {dataset.name!r} has {len(data.train)} training images; ranges of "
            f"activations need at least {MIN_IMAGES}",
            field="dataset",
        )
    if params.get("mean") is not None:
        data = _normalised(data, params["mean"], params["std"], dataset.image.channels)
    if params.get("artifact"):
        return _upload(context, params["artifact"], data, folder)
    if params.get("winner"):
        return _winner(context, params["winner"], data)
    told = params["reference"]
    image = dataset.image
    size = int(told.get("size") or image.size)
    network = reference(
        told["name"],
        channels=image.channels,
        size=size,
        classes=image.n_classes,
        width=float(told["width"]),
        seed=int(params["seed"]),
    )
    _train(network, data, size, told, int(params["seed"]), report)
    return OpenModel(told["name"], data, size, image.channels, network)


def _train(
    network: nn.Module,
    data: Data,
    size: int,
    told: dict[str, Any],
    seed: int,
    report: Progress,
) -> None:
    recipe = TrainRecipe(
        epochs=int(told["epochs"]),
        batch=int(told["batch"]),
        learning_rate=float(told["learning_rate"]),
        flip=bool(told["flip"]),
    )

    def on_epoch(done: int, of: int) -> None:
        report(0.4 * done / of, f"training {told['name']}, epoch {done} of {of}")

    train(network, data, size, recipe, seed=seed, on_epoch=on_epoch)
    recalibrate(network, data, size)


def _upload(context: Context, artifact_id: str, data: Data, folder: Path) -> OpenModel:
    with context.database.session() as session:
        stored = artifacts.get_artifact(session, artifact_id)
    path = context.blobs.path(stored.sha256)
    normalised = folder / "original"
    told = inspect(path, normalised)
    channels, classes = data.train.images.shape[1], int(data.train.labels.max()) + 1
    if told["channels"] != channels:
        raise InvalidData(
            f"the model takes {told['channels']} channels, the data set's images have {channels}",
            field="dataset",
        )
    if told["classes"] < classes:
        raise InvalidData(
            f"the model tells {told['classes']} classes apart, the data set has {classes}",
            field="dataset",
        )
    found = OpenModel(stored.name, data, int(told["size"]), channels, None)
    if told["form"] == "onnx":
        return replace(found, graph=normalised.rename(folder / "original.onnx"))
    return replace(found, program=normalised.rename(folder / "original.pt2"))


def _winner(context: Context, winner_id: str, data: Data) -> OpenModel:
    with context.database.session() as session:
        winner = searches.get_winner(session, winner_id)
        search = searches.get_search(session, winner.search_id)
        own = datasets.get_dataset(session, search.dataset_id)
        stored = {one.name: one for one in artifacts.artifacts_of(session, winner_id)}
    if "weights.pt" not in stored:
        raise InvalidSpec(f"winner {winner_id!r} has no weights yet", field="winner")
    space = make_space(search.value.space, own.image)
    genotype = np.array(winner.genotype[:-1], dtype=np.int64)
    network = build(space, genotype, seed=0)
    state = torch.load(context.blobs.path(stored["weights.pt"].sha256), weights_only=True)
    network.load_state_dict(state)
    size = input_size(space, genotype)
    return OpenModel(winner_id, data, size, own.image.channels, network.eval())


def _normalised(data: Data, mean: list[float], std: list[float], channels: int) -> Data:
    if len(mean) != channels or len(std) != channels:
        raise InvalidData(
            f"mean and std need a number for each of {channels} channels", field="mean"
        )
    return replace(data, mean=tuple(mean), std=tuple(std))
