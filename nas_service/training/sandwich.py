"""Train a supernet: sandwich rule and in-place distillation (Yu and Huang, 2019).

Each step runs the largest network on the targets, then the smallest and random ones on the
largest's answers, and sums the gradients. Progress is kept epoch by epoch, so that training goes
on where it was cut off and ends as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_service.learning.base import Data
from nas_service.networks.sharing import SharedWeights
from nas_service.space.base import input_size
from nas_service.space.sampling import uniform
from nas_service.training.device import mixed, placed
from nas_service.training.loop import (
    Batch,
    TrainRecipe,
    batches,
    learning_rate,
    optimizer_for,
    steps_per_epoch,
)
from nas_service.training.rate import found_rate

_BEGIN = 128
"""Samples that weights are set by before training, where they come from nowhere yet."""
Teacher = Callable[[Tensor], Tensor]
"""Stored samples to a network's answers."""


def train_supernet(
    supernet: SharedWeights,
    data: Data,
    recipe: TrainRecipe,
    *,
    seed: int,
    n_random: int = 2,
    teacher: Teacher | None = None,
    checkpoint: Path | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
) -> None:
    """Train in place, from `checkpoint` where it exists; `on_step` gets step, steps and loss.

    A `teacher` stands for the largest network where smaller ones learn from its answers, and the
    largest learns from them beside the targets.
    """
    with placed(supernet, data.device):
        _train(supernet, data, recipe, seed, n_random, teacher, checkpoint, on_step)


def _train(
    supernet: SharedWeights,
    data: Data,
    recipe: TrainRecipe,
    seed: int,
    n_random: int,
    teacher: Teacher | None,
    checkpoint: Path | None,
    on_step: Callable[[int, int, float], None] | None,
) -> None:
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch stubs
    optimizer = optimizer_for(supernet, recipe)
    per_epoch = steps_per_epoch(len(data.train), recipe.batch)
    n_steps = recipe.epochs * per_epoch
    first, rate = _restore(supernet, optimizer, checkpoint)
    if not first:
        some = data.train.inputs[:_BEGIN].to(data.device)
        supernet.begin(data.prepared(some, input_size(supernet.space, supernet.space.largest())))
        if recipe.find_rate:
            rate = _rate(supernet, data, recipe, seed, n_random, teacher)
    if rate is not None:
        recipe = replace(recipe, learning_rate=rate)
    supernet.train()
    step = first * per_epoch
    for epoch in range(first, recipe.epochs):
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        choices = np.random.default_rng([seed, epoch])
        for each in batches(data, recipe, generator):
            inputs, targets, *_ = each.to(data.device)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, n_steps)
            loss = _sandwich_step(
                supernet, data, recipe, inputs, targets, choices, n_random, teacher
            )
            torch.nn.utils.clip_grad_norm_(supernet.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            if on_step is not None:
                on_step(step, n_steps, loss)
        _save(supernet, optimizer, epoch + 1, rate, checkpoint)


def _rate(
    supernet: SharedWeights,
    data: Data,
    recipe: TrainRecipe,
    seed: int,
    n_random: int,
    teacher: Teacher | None,
) -> float:
    """The learning rate that the shared weights take on these data."""
    generator = torch.Generator().manual_seed(seed * 100_003 - 1)
    choices = np.random.default_rng([seed, 2**31])

    def backward(each: Batch) -> float:
        inputs, targets, *_ = each.to(data.device)
        return _sandwich_step(supernet, data, recipe, inputs, targets, choices, n_random, teacher)

    some = batches(data, recipe, generator)
    return found_rate(supernet, some, backward, optimizer_for(supernet, recipe))


def _sandwich_step(
    supernet: SharedWeights,
    data: Data,
    recipe: TrainRecipe,
    inputs: Tensor,
    targets: Tensor,
    choices: np.random.Generator,
    n_random: int,
    teacher: Teacher | None,
) -> float:
    space = supernet.space
    prepared: dict[int, Tensor] = {}

    def at(size: int) -> Tensor:
        if size not in prepared:
            prepared[size] = data.prepared(inputs, size)
        return prepared[size]

    largest = space.largest()
    with mixed(data.device):
        outputs = supernet(at(input_size(space, largest)), largest)
        loss = data.task.loss(outputs, targets, smoothing=recipe.label_smoothing)
        answers = outputs.detach()
        if teacher is not None:
            answers = teacher(inputs)
            loss = 0.5 * (loss + data.task.distillation_loss(outputs, answers))
    loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
    others = [space.smallest(), *uniform(space, n_random, choices)]
    for genotype in others:
        with mixed(data.device):
            student = supernet(at(input_size(space, genotype)), genotype)
            soft = data.task.distillation_loss(student, answers)
        soft.backward()  # type: ignore[no-untyped-call]  # torch stubs
    return float(loss.detach())


def _restore(
    supernet: SharedWeights, optimizer: torch.optim.SGD, checkpoint: Path | None
) -> tuple[int, float | None]:
    """Epochs already done, their state put back, and the learning rate where it was found."""
    if checkpoint is None or not checkpoint.exists():
        return 0, None
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    supernet.load_state_dict(state["supernet"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epochs"]), state.get("rate")


def _save(
    supernet: SharedWeights,
    optimizer: torch.optim.SGD,
    epochs: int,
    rate: float | None,
    checkpoint: Path | None,
) -> None:
    if checkpoint is None:
        return
    partial = checkpoint.with_name(checkpoint.name + ".partial")
    state = {
        "supernet": supernet.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epochs": epochs,
        "rate": rate,
    }
    torch.save(state, partial)
    partial.replace(checkpoint)
