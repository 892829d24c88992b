"""Accuracy evaluators that train or run networks."""

from __future__ import annotations

import numpy as np

from nas_service.networks.build import build
from nas_service.networks.supernet import Supernet
from nas_service.space.base import FloatArray, IntArray, SearchSpace, input_size
from nas_service.training.data import Data, Split
from nas_service.training.loop import TrainRecipe, accuracy, recalibrate, train

MAX_VALIDATION = 2_000
"""Validation images that a search looks at: beyond them the standard error hardly falls."""


def validation_part(data: Data) -> Split:
    """The first validation images, up to the maximum."""
    return Split(data.validation.images[:MAX_VALIDATION], data.validation.labels[:MAX_VALIDATION])


class SupernetEvaluator:
    """Accuracy on validation data under shared weights, statistics recalibrated for each."""

    def __init__(self, supernet: Supernet, data: Data) -> None:
        self._supernet = supernet
        self._data = data
        self._part = validation_part(data)

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`; nothing here is random or cheaper at less fidelity."""
        del fidelity, seed
        found = []
        for genotype in genotypes:
            size = input_size(self._supernet.space, genotype)
            network = self._supernet.subnet(genotype)
            recalibrate(network, self._data, size)
            found.append(accuracy(network, self._data, self._part, size))
        return np.array(found, dtype=np.float64)


class StandaloneEvaluator:
    """Accuracy on validation data after training each network by itself."""

    def __init__(self, space: SearchSpace, data: Data, recipe: TrainRecipe) -> None:
        self._space = space
        self._data = data
        self._recipe = recipe
        self._part = validation_part(data)

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`; fidelity is the share of the recipe's epochs."""
        epochs = max(1, round(self._recipe.epochs * fidelity))
        recipe = TrainRecipe(**{**self._recipe.as_dict(), "epochs": epochs})
        found = []
        for genotype in genotypes:
            size = input_size(self._space, genotype)
            network = build(self._space, genotype, seed=seed)
            train(network, self._data, size, recipe, seed=seed)
            found.append(accuracy(network, self._data, self._part, size))
        return np.array(found, dtype=np.float64)
