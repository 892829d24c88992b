"""An evaluator: each network trained by itself, for a short time."""

from __future__ import annotations

from dataclasses import replace

from nas_service.worker.evaluators import EvaluatorContext, StandaloneEvaluator

EPOCHS = 3


def brief(context: EvaluatorContext) -> StandaloneEvaluator:
    """Scores after at most three epochs."""
    recipe = replace(context.recipe, epochs=min(EPOCHS, context.recipe.epochs))
    return StandaloneEvaluator(context.space, context.data, recipe, metric=context.metric)
