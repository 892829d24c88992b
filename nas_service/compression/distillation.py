"""Fine-tuning on labels and a teacher's answers (Hinton et al., 2015)."""

from __future__ import annotations

import copy

from torch import nn

from nas_service.compression.base import PassContext
from nas_service.training.loop import TrainRecipe, recalibrate, train


class FinetunePass:
    """Train a copy for a few epochs; options: epochs, batch, learning_rate, flip."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The fine-tuned copy."""
        options = context.options
        recipe = TrainRecipe(
            epochs=int(options.get("epochs", 3)),
            batch=int(options.get("batch", 32)),
            learning_rate=float(options.get("learning_rate", 0.02)),
            flip=bool(options.get("flip", False)),
            label_smoothing=0.05,
            distillation=0.5 if context.teacher is not None else 0.0,
        )
        tuned = copy.deepcopy(network)
        train(tuned, context.data, context.size, recipe, seed=context.seed, teacher=context.teacher)
        recalibrate(tuned, context.data, context.size)
        return tuned
