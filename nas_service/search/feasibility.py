"""Whether a search can keep its limits at all, and which limit it gets where none is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_service.errors import Infeasible
from nas_service.search.cost import CostModel
from nas_service.search.evaluate import Problem
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.sampling import mutate, uniform


def median_latency_ms(space: DeploymentSpace, costs: Sequence[CostModel], seed: int) -> float:
    """Median estimate of 1,000 seeded samples over architectures and precisions."""
    generator = np.random.default_rng([seed, 1000])
    architectures = uniform(space.architectures, 1000, generator)
    which = generator.integers(0, len(costs), 1000)
    every = np.stack([cost.latency_ms(architectures) for cost in costs])
    return float(np.median(every[which, np.arange(1000)]))


def require_feasible(problem: Problem, seed: int) -> None:
    """Raise `Infeasible`, naming the fastest candidate, where nothing can keep the limit.

    Raises:
        InvalidSpec: an objective of which no table knows anything.
    """
    generator = np.random.default_rng([seed, 17])
    base = problem.space.architectures
    pool = np.concatenate([base.smallest()[None, :], uniform(base, 512, generator)])
    problem.costs_of(problem.space.in_every_deployment(pool[:1]))  # whether all of them are known
    for _ in range(12):
        every = problem.space.in_every_deployment(pool)
        excess = problem.excess(every)
        if excess.min() <= 0:
            return
        best = every[np.argsort(excess, kind="stable")[:128]].architectures
        pool = np.concatenate([best, mutate(base, np.repeat(best, 3, axis=0), generator, rate=0.1)])
    every = problem.space.in_every_deployment(pool)
    fastest = float(problem.latency_ms(every).min())
    bound = float(problem.upper_ms(every).min())
    if bound <= problem.limit_ms:
        raise Infeasible(
            "infeasible: no candidate keeps all of "
            + ", ".join(
                f"{name} <= {most:g} (the least is {float(problem.upper(name, every).min()):.6g})"
                for name, most in problem.limits.items()
            )
            + f" and {problem.limit_ms:.3g} ms together",
            field="limits",
        )
    raise Infeasible(
        f"infeasible: the fastest candidate takes {fastest:.3g} ms "
        f"({bound:.3g} ms at probability {problem.limit_probability:g}), "
        f"the limit is {problem.limit_ms:.3g} ms",
        field="max_latency_ms",
        fastest_ms=round(fastest, 4),
        limit_ms=problem.limit_ms,
    )
