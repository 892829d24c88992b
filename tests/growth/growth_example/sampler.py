"""A sampler: quasi-random points, of Optuna's own."""

from __future__ import annotations

import warnings

import optuna

from nas_service.search.samplers import SamplerContext


def halton(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """Scrambled Halton points, another scramble a batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.QMCSampler(
            qmc_type="halton",
            scramble=True,
            seed=context.seed + 1000 * context.batch_number,
            warn_independent_sampling=False,
        )
