"""How long to train, where the user left it to the data's size."""

from __future__ import annotations

from typing import Any

from nas_service.search.spec import TrainingSpec

SUPERNET_IMAGES = 6_500
"""Images that a supernet sees by default, all epochs together: about a minute on two cores."""
FINETUNE_STEPS = 68


def supernet_recipe(training: TrainingSpec, n_train: int) -> dict[str, Any]:
    """The supernet's training recipe as plain values; part of its natural key."""
    n = min(n_train, training.max_train_images or n_train)
    epochs = training.epochs or min(20, max(2, round(SUPERNET_IMAGES / n)))
    return {
        "epochs": epochs,
        "batch": training.batch,
        "learning_rate": training.learning_rate,
        "flip": training.flip,
        "max_train": training.max_train_images,
    }


def finetune_options(training: TrainingSpec, n_train: int) -> dict[str, Any]:
    """Options of the fine-tuning pass."""
    n = min(n_train, training.max_train_images or n_train)
    epochs = training.finetune_epochs or min(5, max(1, round(FINETUNE_STEPS * training.batch / n)))
    return {
        "epochs": epochs,
        "batch": training.batch,
        "learning_rate": training.learning_rate * 0.4,
        "flip": training.flip,
    }
