"""How long to train, where the user left it to the data's size."""

from __future__ import annotations

from typing import Any

from nas_service.learning.base import TrainingSize
from nas_service.search.spec import TrainingSpec

_FROM_WEIGHTS = 0.2
"""Of the learning rate where training starts from weights that are trained."""


def supernet_recipe(
    training: TrainingSpec, n_train: int, size: TrainingSize, *, from_weights: bool = False
) -> dict[str, Any]:
    """The supernet's training recipe as plain values; part of its natural key.

    `from_weights` that are trained already, smaller steps are taken.
    """
    n = min(n_train, training.max_train_images or n_train)
    epochs = training.epochs or min(size.most_epochs, max(2, round(size.samples / n)))
    return {
        "epochs": epochs,
        "batch": training.batch,
        "learning_rate": training.learning_rate * (_FROM_WEIGHTS if from_weights else 1.0),
        "flip": training.flip,
        "max_train": training.max_train_images,
        # what an earlier version did not have is no part of the keys of what it trained
        **({"balanced": True} if training.balanced else {}),
        **({"find_rate": True} if training.find_rate else {}),
        **({"augment": training.augment} if training.augment else {}),
    }


def finetune_options(training: TrainingSpec, n_train: int, size: TrainingSize) -> dict[str, Any]:
    """Options of the fine-tuning pass."""
    n = min(n_train, training.max_train_images or n_train)
    fitting = max(1, round(size.finetune_steps * training.batch / n))
    epochs = training.finetune_epochs or min(size.most_finetune_epochs, fitting)
    return {
        "epochs": epochs,
        "batch": training.batch,
        "learning_rate": training.learning_rate * 0.4,
        "flip": training.flip,
        **_further(training),
    }


def standalone_recipe(
    training: TrainingSpec, n_train: int, size: TrainingSize, *, from_weights: bool = False
) -> dict[str, Any]:
    """The recipe of networks that share no weights, as plain values."""
    told = supernet_recipe(training, n_train, size, from_weights=from_weights)
    return {**told, **_further(training)}


def _further(training: TrainingSpec) -> dict[str, Any]:
    """What is asked for beside how long."""
    found: dict[str, Any] = {"balanced": True} if training.balanced else {}
    found |= {"find_rate": True} if training.find_rate else {}
    found |= {"augment": training.augment} if training.augment else {}
    return found | ({"early_stop": training.early_stop} if training.early_stop else {})
