"""A stored data set as a step trains on it."""

from __future__ import annotations

import torch

from nas_service.storage.datasets import StoredDataset
from nas_service.training.data import Data, load
from nas_service.training.device import CPU, training_device
from nas_service.worker.context import Context


def open_images(
    context: Context, dataset: StoredDataset, max_train: int | None, *, to_train: bool = True
) -> Data:
    """The images, `max_train` of them to train on; torch gets the threads of a training step.

    A step that measures (not `to_train`) opens no GPU: it may wait long beside one that trains.

    Raises:
        Unsupported: the device that is set for training is not here.
    """
    torch.set_num_threads(context.threads())
    return load(
        context.blobs.path(dataset.sha256 or ""),
        max_train=max_train,
        device=training_device(context.settings.training_device) if to_train else CPU,
    )
