"""Evaluation, recalibration and plain training of one network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data, LearningTask, Split
from nas_service.learning.metric import Judged
from nas_service.training.device import mixed, placed
from nas_service.training.rate import found_rate

_BATCH = 250
_VALUES = 2**24
"""Of numbers in a batch: 250 images of 3 x 149 x 149, fewer larger samples."""
_EARLY_SAMPLES = 2000
"""Validation samples that each epoch is judged on where training may end early."""
RECALIBRATION = 256
"""Training samples that normalisation statistics are set from."""


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """How to train: SGD with Nesterov momentum and a cosine schedule with a short warm-up.

    `balanced`: an epoch draws as many samples of each class, of small ones again and again. With
    `early_stop`, training ends when so many epochs in a row were no better on validation samples,
    and the best one's weights are kept. With `find_rate` the learning rate is looked for first.
    `augment` names a policy of `Data.varied`.
    """

    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    shift: int = 2
    flip: bool = False
    max_train: int | None = None
    distillation: float = 0.0
    balanced: bool = False
    early_stop: int = 0
    find_rate: bool = False
    augment: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def judged(network: nn.Module, data: Data, split: Split, size: int) -> Judged:
    """What `network` is worth on the samples of `split`."""
    outputs = outputs_of(network, data, split.inputs, size)
    return data.task.judge(outputs.numpy(), split.targets.numpy())


def score(network: nn.Module, data: Data, split: Split, size: int, metric: str = "") -> float:
    """The score of `network` on `split` by a metric of the task, the first one unless named."""
    one = data.task.metric(metric)
    return one.score(one.value(judged(network, data, split, size)))


def outputs_of(network: nn.Module, data: Data, inputs: Tensor, size: int) -> Tensor:
    """The network's answers to stored samples `(n, ...)`: `(n, ...)`, on the CPU."""
    numbers = math.prod(data.example(size))
    at_once = max(1, min(_BATCH, _VALUES // numbers))
    network.eval()
    with placed(network, data.device), torch.inference_mode():
        parts = [
            network(data.prepared(inputs[i : i + at_once].to(data.device), size)).cpu()
            for i in range(0, len(inputs), at_once)
        ]
    return torch.cat(parts)


def recalibrate(
    network: nn.Module, data: Data, size: int, *, n_samples: int = RECALIBRATION
) -> None:
    """Set normalisation statistics from training samples: their average over batches."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    network.train()
    with placed(network, data.device), torch.no_grad():
        for start in range(0, min(n_samples, len(data.train)), 128):
            inputs = data.train.inputs[start : start + 128]
            if len(inputs) > 1:
                network(data.prepared(inputs.to(data.device), size))
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
    """Augmented samples `(b, ...)`, targets, rows in the split, and which are mirrored."""

    inputs: Tensor
    targets: Tensor
    rows: Tensor
    mirrored: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(*(one.to(device) for one in self))


Objective = Callable[[nn.Module, Tensor, Batch], Tensor]
"""Network, prepared samples and their batch to a loss."""


def batches(data: Data, recipe: TrainRecipe, generator: torch.Generator) -> list[Batch]:
    """One epoch of shuffled, augmented batches; a last batch of one sample is dropped."""
    split = data.train
    order = _order(split, recipe, generator)
    found = []
    for start in range(0, len(order), recipe.batch):
        rows = order[start : start + recipe.batch]
        if len(rows) > 1:
            inputs, mirrored = data.augmented(
                split.inputs[rows], generator, shift=recipe.shift, flip=recipe.flip
            )
            if recipe.augment:
                inputs = data.varied(inputs, generator, recipe.augment)
            targets = data.mirrored_targets(split.targets[rows], mirrored)
            found.append(Batch(inputs, targets, rows, mirrored))
    return found


def _order(split: Split, recipe: TrainRecipe, generator: torch.Generator) -> Tensor:
    """Rows of an epoch, each once, or each class as often."""
    if not recipe.balanced:
        return torch.randperm(len(split), generator=generator)
    if split.targets.ndim != 1 or split.targets.is_floating_point():
        raise InvalidSpec("balanced: the data set's samples have no classes", field="balanced")
    counts = torch.bincount(split.targets)
    shares = 1.0 / counts[split.targets].double()
    return torch.multinomial(shares, len(split), replacement=True, generator=generator)


class _Best:
    """The weights of the best epoch, and for how many epochs there was no better one."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._score = -math.inf
        self._state: dict[str, Tensor] = {}
        self._idle = 0

    def ends(self, network: nn.Module, data: Data, size: int) -> bool:
        """Look at an epoch's weights; whether the last ones were long enough no better."""
        found = score(network, data, data.validation.first(_EARLY_SAMPLES), size)
        self._idle += 1
        if found > self._score:
            self._score, self._idle = found, 0
            self._state = {name: one.clone() for name, one in network.state_dict().items()}
        return self._idle >= self._patience

    def put_back(self, network: nn.Module) -> None:
        """Give the network the best epoch's weights."""
        network.load_state_dict(self._state)


def steps_per_epoch(n: int, batch: int) -> int:
    """How many batches `batches` gives for `n` samples."""
    return n // batch + (1 if n % batch > 1 else 0)


def targets_and(
    teacher: Callable[[Tensor], Tensor] | None, task: LearningTask, recipe: TrainRecipe
) -> Objective:
    """The task's loss with the targets, shared with a teacher's answers where there is one."""

    def loss_of(network: nn.Module, prepared: Tensor, batch: Batch) -> Tensor:
        outputs = network(prepared)
        loss = task.loss(outputs, batch.targets, smoothing=recipe.label_smoothing)
        if teacher is not None and recipe.distillation:
            soft = task.distillation_loss(outputs, teacher(batch.inputs))
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

    `teacher` takes the batch's samples and gives outputs; `objective` stands for the loss in
    whole. `on_epoch` is told how many epochs are done, of how many; where it says False, training
    ends. Batches, and the network while it trains, are on the data's device.
    """
    with placed(network, data.device):
        objective = objective or targets_and(teacher, data.task, recipe)
        _train(network, data, size, recipe, seed, objective, on_epoch)
    network.eval()


def _rate(
    network: nn.Module,
    data: Data,
    size: int,
    recipe: TrainRecipe,
    seed: int,
    objective: Objective,
) -> float:
    """The learning rate that the network takes on these data."""
    generator = torch.Generator().manual_seed(seed * 100_003 - 1)

    def backward(each: Batch) -> float:
        batch = each.to(data.device)
        with mixed(data.device):
            loss = objective(network, data.prepared(batch.inputs, size), batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
        return float(loss.detach())

    some = batches(data, recipe, generator)
    return found_rate(network, some, backward, optimizer_for(network, recipe))


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
    if recipe.find_rate:
        recipe = replace(recipe, learning_rate=_rate(network, data, size, recipe, seed, objective))
    optimizer = optimizer_for(network, recipe)
    n_steps = recipe.epochs * steps_per_epoch(len(data.train), recipe.batch)
    step = 0
    best = _Best(recipe.early_stop) if recipe.early_stop else None
    for epoch in range(recipe.epochs):
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        network.train()
        for each in batches(data, recipe, generator):
            batch = each.to(data.device)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, n_steps)
            with mixed(data.device):
                loss = objective(network, data.prepared(batch.inputs, size), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
            optimizer.step()
            step += 1
        if best is not None and best.ends(network, data, size):
            break
        if on_epoch is not None and on_epoch(epoch + 1, recipe.epochs) is False:
            break
    if best is not None:
        best.put_back(network)
