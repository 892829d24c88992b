"""An architecture space with the precision it ships in as one more decision.

The architecture's decisions keep their positions; `precision` comes last. Cost is that of the
precision's target, accuracy that of the architecture with what the precision does to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lookup_tables.target import Deployment
from nas_service.space.base import Decision, IntArray, SearchSpace
from nas_service.space.genotypes import Genotypes
from nas_service.space.sampling import Repairing


class DeploymentSpace:
    """Genotypes `(n, d + 1)`: an architecture's, then the position of its deployment."""

    def __init__(self, space: SearchSpace, deployments: tuple[Deployment, ...]) -> None:
        self.architectures = space
        self.deployments = deployments
        names = tuple(one.name for one in deployments)
        named = Decision("precision", names, ordered=False)
        self.decisions = (*space.decisions, named)

    def in_every_deployment(self, architectures: IntArray) -> Genotypes:
        """Each architecture once a deployment, architecture by architecture: `n * p` of them."""
        n, p = len(architectures), len(self.deployments)
        return Genotypes(np.repeat(architectures, p, axis=0), np.tile(np.arange(p), n))

    def canonical(self, genotypes: IntArray) -> IntArray:
        """Canonical architectures, deployments as they are: `(n, d + 1)`."""
        given = Genotypes.from_matrix(genotypes)
        canonical = self.architectures.canonical(given.architectures)
        return Genotypes(canonical, given.deployments).matrix

    def repaired(self, genotypes: IntArray, generator: np.random.Generator) -> IntArray:
        """Rows whose architectures are changed until they are networks, fewer perhaps."""
        if not isinstance(self.architectures, Repairing):
            return genotypes[self.valid(genotypes)]
        found = self.architectures.repaired(
            Genotypes.from_matrix(genotypes).architectures, generator
        )
        drawn = generator.integers(0, len(self.deployments), len(found))
        return Genotypes(found, drawn).matrix

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Rows `(n, d + 1)` whose architecture is a network."""
        return self.architectures.valid(Genotypes.from_matrix(genotypes).architectures)
