"""A stored data set as a step trains on it."""

from __future__ import annotations

import torch

from nas_service.learning.base import Data
from nas_service.learning.registry import task_of
from nas_service.space.base import SearchSpace
from nas_service.space.elastic.space import ElasticSpace
from nas_service.space.wrapped import unwrapped
from nas_service.storage.datasets import StoredDataset
from nas_service.training.device import CPU, training_device
from nas_service.worker.context import Context


def open_data(
    context: Context,
    dataset: StoredDataset,
    max_train: int | None,
    *,
    to_train: bool = True,
    space: SearchSpace | None = None,
) -> Data:
    """The splits, `max_train` samples to train on; torch gets the threads of a training step.

    A `space` made of a user's own model prepares samples as that was taught to read them.

    A step that measures (not `to_train`) opens no GPU: it may wait long beside one that trains.

    Raises:
        Unsupported: the device that is set for training is not here.
    """
    torch.set_num_threads(context.threads())
    device = training_device(context.settings.training_device) if to_train else CPU
    with context.blobs.local(dataset.sha256 or "") as path:
        data = task_of(dataset.facts).load(path, max_train=max_train, device=device)
    own = None if space is None else unwrapped(space)
    return own.description.prepare(data) if isinstance(own, ElasticSpace) else data
