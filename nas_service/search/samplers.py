"""What a sampler is made from, and Optuna's own samplers by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import optuna

from nas_service.search.candidate_pool import Pool
from nas_service.search.evaluate import Problem
from nas_service.search.guided_sampler import GuidedSampler
from nas_service.search.sampling_problem import SamplingProblem
from nas_service.space.base import FloatArray, IntArray
from predictors.base import AccuracyPredictor


@dataclass(frozen=True)
class SamplerContext:
    """All that a sampler may use for one batch.

    A fresh sampler is made for every batch from the told trials alone, seeded by the search's seed
    and the batch's number (the guided one by the seed and what was evaluated): a search killed
    between batches goes on as if it had not been.

    `architectures` `(n, d)` and their `accuracy` `(n,)` under shared weights are all that was
    evaluated on this data, in this search or before it.
    """

    problem: Problem
    sampling: SamplingProblem
    """The same, with the deployment as one decision more."""
    make_predictor: Callable[[], AccuracyPredictor]
    architectures: IntArray
    accuracy: FloatArray
    fitted: IntArray
    """Which of them a predictor is fitted on: all, while they are few."""
    seed: int
    batch_number: int
    batch_size: int
    pool: Callable[[], Pool]
    """The candidates of a search, made once and when first asked for."""
    near_limit: bool = False
    """Whether costs were corrected since by what was measured near the limit."""


SamplerFactory = Callable[[SamplerContext], optuna.samplers.BaseSampler]


def reads_trials(sampler: optuna.samplers.BaseSampler) -> bool:
    """Whether a study has to hold what was told for this sampler; it says so in `reads_trials`."""
    drawn = isinstance(sampler, optuna.samplers.RandomSampler)
    return bool(getattr(sampler, "reads_trials", not drawn))


def _seed(context: SamplerContext) -> int:
    mixed = np.random.SeedSequence([context.seed, context.batch_number])
    return int(mixed.generate_state(1)[0])


def random_sampler(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """Uniform."""
    return optuna.samplers.RandomSampler(seed=_seed(context))


def tpe(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimator (Bergstra et al., 2011; Ozaki et al., 2022)."""
    return optuna.samplers.TPESampler(seed=_seed(context))


def nsga2(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """NSGA-II (Deb et al., 2002) on evaluations alone."""
    return optuna.samplers.NSGAIISampler(seed=_seed(context), population_size=20)


def nsga3(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """NSGA-III (Deb and Jain, 2014) on evaluations alone, for many objectives."""
    with warnings.catch_warnings():  # Optuna calls it experimental, for its interface may change
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.NSGAIIISampler(seed=_seed(context), population_size=20)


def gaussian_process(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """Optuna's Gaussian process on the decisions as numbers; seconds a trial beyond a hundred."""
    return optuna.samplers.GPSampler(seed=_seed(context))


def guided(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """The project's own: predictor, tables and expected hypervolume improvement."""
    sampler = GuidedSampler(
        context.sampling,
        context.make_predictor,
        seed=context.seed,
        batch=context.batch_size,
        initial=(context.architectures, context.accuracy),
        fitted=context.fitted,
        pool=context.pool(),
    )
    sampler.reads_trials = False  # all of them are in `initial`
    return sampler
