"""Evaluation, recalibration and plain training of one network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from nas_service.training.classification import Classification
from nas_service.training.data import Data, Split, augment
from nas_service.training.device import placed
from nas_service.training.distillation import distillation_loss

_BATCH = 250
_VALUES = 2**24
"""Of images in a batch: 250 of 3 x 149 x 149, fewer of larger ones."""
RECALIBRATION = 256
"""Training images that normalisation statistics are set from."""


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """How to train: SGD with Nesterov momentum and a cosine schedule with a short warm-up."""

    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    shift: int = 2
    flip: bool = False
    max_train: int | None = None
    distillation: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def classified(network: nn.Module, data: Data, split: Split, size: int) -> Classification:
    """What `network` names the images of `split`, by true class."""
    logits = logits_of(network, data, split.images, size)
    return Classification.of(split.labels.numpy(), logits.argmax(1).numpy(), logits.shape[1])


def accuracy(network: nn.Module, data: Data, split: Split, size: int) -> float:
    """Share of images in `split` that `network` classifies rightly."""
    return classified(network, data, split, size).accuracy


def logits_of(network: nn.Module, data: Data, images: Tensor, size: int) -> Tensor:
    """The network's answers to uint8 images `(n, c, s, s)`: `(n, classes)`, on the CPU."""
    at_once = max(1, min(_BATCH, _VALUES // (images.shape[1] * size * size)))
    network.eval()
    with placed(network, data.device), torch.inference_mode():
        parts = [
            network(data.prepared(images[i : i + at_once].to(data.device), size)).cpu()
            for i in range(0, len(images), at_once)
        ]
    return torch.cat(parts)


def recalibrate(
    network: nn.Module, data: Data, size: int, *, n_images: int = RECALIBRATION
) -> None:
    """Set normalisation statistics from training images: their average over batches."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    network.train()
    with placed(network, data.device), torch.no_grad():
        for start in range(0, min(n_images, len(data.train)), 128):
            images = data.train.images[start : start + 128]
            if len(images) > 1:
                network(data.prepared(images.to(data.device), size))
    for norm in norms:
        norm.momentum = 0.1
    network.eval()


def learning_rate(recipe: TrainRecipe, step: int, n_steps: int) -> float:
    """Linear warm-up over a twentieth of the steps, then a half cosine to zero."""
    warm = max(1, n_steps // 20)
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, n_steps - warm)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def optimizer_for(network: nn.Module, recipe: TrainRecipe) -> torch.optim.SGD:
    """SGD whose weight decay spares normalisation and biases."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    spared = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)


class Batch(NamedTuple):
    """Augmented uint8 images `(b, c, s, s)`, labels, rows in the split, and which are mirrored."""

    images: Tensor
    labels: Tensor
    rows: Tensor
    mirrored: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(*(one.to(device) for one in self))


Objective = Callable[[nn.Module, Tensor, Batch], Tensor]
"""Network, prepared images and their batch to a loss."""


def batches(split: Split, recipe: TrainRecipe, generator: torch.Generator) -> list[Batch]:
    """One epoch of shuffled, augmented batches; a last batch of one image is dropped."""
    order = torch.randperm(len(split), generator=generator)
    found = []
    for start in range(0, len(order), recipe.batch):
        rows = order[start : start + recipe.batch]
        if len(rows) > 1:
            images, mirrored = augment(
                split.images[rows], generator, shift=recipe.shift, flip=recipe.flip
            )
            found.append(Batch(images, split.labels[rows], rows, mirrored))
    return found


def steps_per_epoch(n: int, batch: int) -> int:
    """How many batches `batches` gives for `n` images."""
    return n // batch + (1 if n % batch > 1 else 0)


def labels_and(teacher: Callable[[Tensor], Tensor] | None, recipe: TrainRecipe) -> Objective:
    """Cross entropy with the labels, shared with a teacher's answers where there is one."""

    def loss_of(network: nn.Module, prepared: Tensor, batch: Batch) -> Tensor:
        logits = network(prepared)
        loss = functional.cross_entropy(
            logits, batch.labels, label_smoothing=recipe.label_smoothing
        )
        if teacher is not None and recipe.distillation:
            soft = distillation_loss(logits, teacher(batch.images))
            loss = (1 - recipe.distillation) * loss + recipe.distillation * soft
        return loss

    return loss_of


def train(
    network: nn.Module,
    data: Data,
    size: int,
    recipe: TrainRecipe,
    *,
    seed: int,
    teacher: Callable[[Tensor], Tensor] | None = None,
    objective: Objective | None = None,
    on_epoch: Callable[[int, int], bool | None] | None = None,
) -> None:
    """Train in place; with a `teacher` the loss is shared with its softened answers.

    `teacher` takes the batch as uint8 images and gives logits; `objective` stands for the loss in
    whole. `on_epoch` is told how many epochs are done, of how many; where it says False, training
    ends. Batches, and the network while it trains, are on the data's device.
    """
    with placed(network, data.device):
        _train(
            network, data, size, recipe, seed, objective or labels_and(teacher, recipe), on_epoch
        )
    network.eval()


def _train(
    network: nn.Module,
    data: Data,
    size: int,
    recipe: TrainRecipe,
    seed: int,
    objective: Objective,
    on_epoch: Callable[[int, int], bool | None] | None,
) -> None:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch stubs
    optimizer = optimizer_for(network, recipe)
    n_steps = recipe.epochs * steps_per_epoch(len(data.train), recipe.batch)
    step = 0
    for epoch in range(recipe.epochs):
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        network.train()
        for each in batches(data.train, recipe, generator):
            batch = each.to(data.device)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, n_steps)
            loss = objective(network, data.prepared(batch.images, size), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
            optimizer.step()
            step += 1
        if on_epoch is not None and on_epoch(epoch + 1, recipe.epochs) is False:
            break
