"""A search problem: objectives and constraints of a batch of genotypes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas_service.errors import Infeasible
from nas_service.search.cost import CostModel, StructureModel
from nas_service.search.pareto import BoolArray
from nas_service.search.shipping import ShippingModel
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.sampling import mutate, uniform


@dataclass(frozen=True)
class Problem:
    """Accuracy up, latency down, latency below a limit, over architectures and precisions.

    `costs` and `shipping` have one member a precision. The limit is held against the estimate's
    upper bound at `limit_probability`.
    """

    space: DeploymentSpace
    costs: tuple[CostModel, ...]
    shipping: tuple[ShippingModel, ...]
    structure: StructureModel
    limit_ms: float
    limit_probability: float

    def latency_ms(self, genotypes: IntArray) -> FloatArray:
        """Estimated latency on the target of each row's precision: `(n,)`."""
        return self._by_precision(
            genotypes, lambda which, architectures: self.costs[which].latency_ms(architectures)
        )

    def upper_ms(self, genotypes: IntArray) -> FloatArray:
        """The latency that the measured one stays below with the limit's probability: `(n,)`."""
        factors = np.array([cost.upper_factor(self.limit_probability) for cost in self.costs])
        return np.asarray(self.latency_ms(genotypes) * factors[genotypes[:, -1]])

    def feasible(self, genotypes: IntArray) -> BoolArray:
        """Rows that keep the limit: `(n,)`."""
        return np.asarray(self.upper_ms(genotypes) <= self.limit_ms)

    def size_bytes(self, genotypes: IntArray) -> FloatArray:
        """Estimated size of the shipped file: `(n,)`."""

        def size(which: int, architectures: IntArray) -> FloatArray:
            return self.structure(architectures).size_bytes(self.space.precisions[which])

        return self._by_precision(genotypes, size)

    def shipped_accuracy(self, accuracy: FloatArray, genotypes: IntArray) -> FloatArray:
        """Accuracy of the shipped file from that of the network under shared weights: `(n,)`."""
        macs = self.structure(genotypes[:, :-1]).macs
        shipped = np.stack([model.shipped(accuracy, macs) for model in self.shipping])
        return np.asarray(shipped[genotypes[:, -1], np.arange(len(genotypes))])

    def losses(self, genotypes: IntArray, accuracy: FloatArray) -> FloatArray:
        """What is minimised, `(n, 2)`: 1 - shipped accuracy, and latency."""
        shipped = self.shipped_accuracy(accuracy, genotypes)
        return np.column_stack([1.0 - shipped, self.latency_ms(genotypes)])

    def _by_precision(
        self, genotypes: IntArray, of: Callable[[int, IntArray], FloatArray]
    ) -> FloatArray:
        architectures, precision = self.space.split(genotypes)
        found = np.empty(len(genotypes))
        for which in range(len(self.costs)):
            rows = precision == which
            if rows.any():
                found[rows] = of(which, architectures[rows])
        return found


def median_latency_ms(space: DeploymentSpace, costs: Sequence[CostModel], seed: int) -> float:
    """Median estimate of 1,000 seeded samples over architectures and precisions."""
    generator = np.random.default_rng([seed, 1000])
    architectures = uniform(space.architectures, 1000, generator)
    which = generator.integers(0, len(costs), 1000)
    every = np.stack([cost.latency_ms(architectures) for cost in costs])
    return float(np.median(every[which, np.arange(1000)]))


def require_feasible(problem: Problem, seed: int) -> None:
    """Raise `Infeasible`, naming the fastest candidate, where nothing can keep the limit."""
    generator = np.random.default_rng([seed, 17])
    base = problem.space.architectures
    pool = np.concatenate([base.smallest()[None, :], uniform(base, 512, generator)])
    for _ in range(12):
        every = problem.space.every_precision(pool)
        upper = problem.upper_ms(every)
        if upper.min() <= problem.limit_ms:
            return
        best = every[np.argsort(upper, kind="stable")[:128], :-1]
        pool = np.concatenate([best, mutate(base, np.repeat(best, 3, axis=0), generator, rate=0.1)])
    every = problem.space.every_precision(pool)
    fastest = float(problem.latency_ms(every).min())
    bound = float(problem.upper_ms(every).min())
    raise Infeasible(
        f"infeasible: the fastest candidate takes {fastest:.3g} ms "
        f"({bound:.3g} ms at probability {problem.limit_probability:g}), "
        f"the limit is {problem.limit_ms:.3g} ms",
        field="max_latency_ms",
        fastest_ms=round(fastest, 4),
        limit_ms=problem.limit_ms,
    )
