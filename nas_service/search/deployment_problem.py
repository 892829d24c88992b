"""A problem as samplers see it: the deployment is one decision more, the last one."""

from __future__ import annotations

from nas_service.search.evaluate import Problem
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.genotypes import Genotypes


class DeploymentProblem:
    """A `SamplingProblem` of architectures `(n, a)` in deployments, as matrices `(n, a + 1)`."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    @property
    def space(self) -> DeploymentSpace:
        """The decisions of architectures, then the deployment."""
        return self._problem.space

    def architectures(self, genotypes: IntArray) -> IntArray:
        """What is evaluated: genotypes without their deployment."""
        return Genotypes.from_matrix(genotypes).architectures

    def features(self, architectures: IntArray) -> FloatArray:
        """What predictors read of architectures."""
        return self._problem.features(architectures)

    def costs_of(self, genotypes: IntArray) -> FloatArray:
        """See `Problem.costs_of`."""
        return self._problem.costs_of(Genotypes.from_matrix(genotypes))

    def excess(self, genotypes: IntArray) -> FloatArray:
        """See `Problem.excess`."""
        return self._problem.excess(Genotypes.from_matrix(genotypes))

    def delivered_accuracy(self, accuracy: FloatArray, genotypes: IntArray) -> FloatArray:
        """See `Problem.delivered_accuracy`."""
        return self._problem.delivered_accuracy(accuracy, Genotypes.from_matrix(genotypes))

    @property
    def highest_costs(self) -> FloatArray | None:
        """The limits of the objectives, where each has one."""
        return self._problem.highest_costs
