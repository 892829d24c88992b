"""Evaluators that train or run networks; what they give are scores of the search's metric."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data, Split
from nas_service.learning.metric import Judged, Metric
from nas_service.networks.build import build
from nas_service.networks.sharing import SharedWeights
from nas_service.space.base import FloatArray, IntArray, SearchSpace, input_size
from nas_service.training.loop import RECALIBRATION, TrainRecipe, judged, recalibrate, train

MAX_VALIDATION = 2_000
"""Validation samples that a search looks at: beyond them the standard error hardly falls."""
_MIN_VALIDATION = 100


def validation_part(data: Data, fidelity: float = 1.0) -> Split:
    """The first validation samples, up to the maximum; at less fidelity that share of them."""
    n = min(MAX_VALIDATION, len(data.validation))
    n = max(min(_MIN_VALIDATION, n), round(n * fidelity))
    return data.validation.first(n)


AskTrainers = Callable[[IntArray, float], FloatArray]
"""Scores `(n,)` of genotypes `(n, d)` at a fidelity; comes back when all are there."""


@dataclass(frozen=True)
class EvaluatorContext:
    """All that an evaluator may use; every one is made from this.

    `supernet` is there, trained, where the search has one; `ask_trainers` has networks taught by
    whoever asks the service for them. `metric` is the name of the learning
    task's metric whose scores stand for accuracy.
    """

    space: SearchSpace
    data: Data
    recipe: TrainRecipe
    metric: str
    supernet: SharedWeights | None = None
    ask_trainers: AskTrainers | None = None


def supernet(context: EvaluatorContext) -> SupernetEvaluator:
    """Accuracy under shared weights.

    Raises:
        InvalidSpec: the search has none.
    """
    if context.supernet is None:
        raise InvalidSpec("this search has no shared weights to evaluate", field="evaluator")
    return SupernetEvaluator(context.supernet, context.data, metric=context.metric)


def standalone(context: EvaluatorContext) -> StandaloneEvaluator:
    """Accuracy after training each network by itself."""
    return StandaloneEvaluator(context.space, context.data, context.recipe, metric=context.metric)


def outside(context: EvaluatorContext) -> OutsideEvaluator:
    """Accuracy as trainers outside the service report it.

    Raises:
        InvalidSpec: there is nobody to ask.
    """
    if context.ask_trainers is None:
        raise InvalidSpec("there is nobody to ask for accuracies here", field="evaluator")
    return OutsideEvaluator(context.ask_trainers)


class OutsideEvaluator:
    """Accuracy after training by somebody else; fidelity is the share of their usual effort."""

    def __init__(self, ask: AskTrainers) -> None:
        self._ask = ask

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`; seeds are the trainers' business."""
        del seed
        return np.maximum(self._ask(genotypes, fidelity), 0.0)


class SupernetEvaluator:
    """Accuracy on validation data under shared weights, statistics recalibrated for each."""

    spreads = True

    def __init__(self, supernet: SharedWeights, data: Data, *, metric: str = "") -> None:
        self._supernet = supernet
        self._data = data
        self._metric = data.task.metric(metric)

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`; fidelity is the share of samples. Nothing is random."""
        del seed
        part = validation_part(self._data, fidelity)
        n_samples = max(64, round(RECALIBRATION * fidelity))
        found = []
        for genotype in genotypes:
            size = input_size(self._supernet.space, genotype)
            network = self._supernet.subnet(genotype)
            recalibrate(network, self._data, size, n_samples=n_samples)
            found.append(score_of(self._metric, judged(network, self._data, part, size)))
        return np.array(found, dtype=np.float64)


class StandaloneEvaluator:
    """Accuracy on validation data after training each network by itself.

    A run that is no better than guessing after a third of its epochs is hopeless and ends there.
    """

    spreads = True

    def __init__(
        self, space: SearchSpace, data: Data, recipe: TrainRecipe, *, metric: str = ""
    ) -> None:
        self._space = space
        self._data = data
        self._recipe = recipe
        self._part = validation_part(data)
        self._metric = data.task.metric(metric)

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`; fidelity is the share of the recipe's epochs."""
        epochs = max(1, round(self._recipe.epochs * fidelity))
        recipe = TrainRecipe(**{**self._recipe.as_dict(), "epochs": epochs})
        found = []
        for genotype in genotypes:
            size = input_size(self._space, genotype)
            network = build(self._space, genotype, seed=seed)

            def on_epoch(
                epoch: int, epochs: int, network: nn.Module = network, size: int = size
            ) -> bool:
                if epoch != math.ceil(epochs / 3) or epoch == epochs:
                    return True
                # running statistics lag behind early in training, on a copy they are set
                settled = copy.deepcopy(network)
                recalibrate(settled, self._data, size)
                return not self._data.task.hopeless(self._metric, self._judged(settled, size))

            train(network, self._data, size, recipe, seed=seed, on_epoch=on_epoch)
            if fidelity < 1.0:
                recalibrate(network, self._data, size)
            found.append(score_of(self._metric, self._judged(network, size)))
        return np.array(found, dtype=np.float64)

    def _judged(self, network: nn.Module, size: int) -> Judged:
        return judged(network, self._data, self._part, size)


def score_of(metric: Metric, of: Judged) -> float:
    """What is worse than an answer that says nothing counts as that: predictors read shares."""
    return max(0.0, metric.score(metric.value(of)))
