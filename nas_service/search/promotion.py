"""Cheap evaluations first: only candidates that keep their promise are evaluated in full.

A search that asks for it looks at several candidates a query with little effort (few epochs, few
images). What that gives is one more input of the accuracy predictor, beside the architecture's
features; the candidates that are then expected to add most to the front are promoted. How far a
cheap accuracy is believed follows from the networks that have both (low-fidelity inputs: White et
al., 2021, "How powerful are performance predictors in neural architecture search?").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas_service.search.candidate_pool import Pool
from nas_service.search.guided import FLOOR_QUANTILE, Had, most_gain
from nas_service.search.sampling_problem import SamplingProblem
from nas_service.space.base import FloatArray, IntArray
from predictors.base import AccuracyPredictor
from predictors.inputs import LOW_FIDELITY, Inputs

MIN_BOTH = 8
"""Networks evaluated both ways, from which on cheap accuracies are used."""


@dataclass(frozen=True)
class Promotion:
    """How cheap the first look is, and how many candidates get one for each that is promoted.

    `make` makes an unfitted predictor for features of those names.
    """

    fidelity: float
    candidates: int
    make: Callable[[Sequence[str]], AccuracyPredictor]
    names: Sequence[str]


def promoted(
    problem: SamplingProblem,
    pool: Pool,
    promotion: Promotion,
    architectures: IntArray,
    accuracy: FloatArray,
    cheap: FloatArray,
    candidates: IntArray,
    candidate_cheap: FloatArray,
    n: int,
) -> list[int]:
    """Which `n` of `candidates` to evaluate in full, best first.

    Args:
        problem: what is searched.
        pool: candidates of the space.
        promotion: how.
        architectures: evaluated in full `(e, a)`.
        accuracy: of each `(e,)`.
        cheap: what each was worth at a first look `(e,)`; NaN where it had none.
        candidates: genotypes `(c, d)`, in the order in which the sampler proposed them.
        candidate_cheap: what each is worth at a first look `(c,)`.
        n: how many are wanted.
    """
    order = list(range(len(candidates)))
    if np.isfinite(cheap).sum() < MIN_BOTH:
        return order[:n]
    rows = np.concatenate([architectures, problem.architectures(candidates)])
    inputs = Inputs(tuple(promotion.names), problem.features(rows)).with_extra(
        LOW_FIDELITY, {"accuracy": np.concatenate([cheap, candidate_cheap])}
    )
    predictor = promotion.make(inputs.names)
    predictor.fit(inputs.features[: len(accuracy)], accuracy)
    none = candidates[:0]
    # what was evaluated is better than random: its own lowest tenth is the floor here
    had = Had(architectures, accuracy, float(np.quantile(accuracy, FLOOR_QUANTILE)), none)
    excess = problem.excess(candidates)
    inside = np.flatnonzero(excess <= 0)
    best: list[int] = []
    if len(inside):
        prediction = predictor.predict(inputs.features[len(accuracy) :][inside])
        chosen = most_gain(problem, pool, candidates[inside], prediction, had, n)
        best = [int(inside[one]) for one in chosen]
    rest = sorted((one for one in order if one not in best), key=lambda one: max(excess[one], 0.0))
    return [*best, *rest][:n]
