"""What a sampler has to know of a search: what can be chosen, what it costs, what counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidSpec
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.sampling import Choices

BoolArray = npt.NDArray[np.bool_]
CostFunction = Callable[[IntArray], FloatArray]
"""Costs `(n,)` of networks `(n, d)`, known before any is trained."""


class SamplingProblem(Protocol):
    """Accuracy up, known costs down, within limits.

    A genotype `(d,)` may hold more than an architecture (the precision it ships in); accuracy is
    evaluated and predicted of the architecture alone.
    """

    @property
    def space(self) -> Choices: ...

    def architectures(self, genotypes: IntArray) -> IntArray:
        """What is evaluated: `(n, d) -> (n, a)`."""
        ...

    def features(self, architectures: IntArray) -> FloatArray:
        """What the predictor reads: `(n, a) -> (n, f)`."""
        ...

    def costs_of(self, genotypes: IntArray) -> FloatArray:
        """Every objective but accuracy, minimised: `(n, k)`."""
        ...

    def excess(self, genotypes: IntArray) -> FloatArray:
        """By what share the worst limit is exceeded, 0 or less where all hold: `(n,)`."""
        ...

    def delivered_accuracy(self, accuracy: FloatArray, genotypes: IntArray) -> FloatArray:
        """The accuracy that counts from that of the architecture: `(n, ...)`, monotone."""
        ...

    @property
    def highest_costs(self) -> FloatArray | None:
        """Where costs stop to count `(k,)`; None leaves it to the costs met."""
        ...


class FeatureChoices(Choices, Protocol):
    """Choices with the features of a network."""

    def features(self, genotypes: IntArray) -> FloatArray: ...


class CostedSpace:
    """A problem over a space, with costs as functions: for use without the service."""

    def __init__(
        self,
        space: FeatureChoices,
        costs: Mapping[str, CostFunction] | Sequence[CostFunction],
        *,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        """`limits` are upper bounds by the name of a cost.

        Raises:
            InvalidSpec: no cost is given, or a limit names none of them.
        """
        named = (
            dict(costs)
            if isinstance(costs, Mapping)
            else {f"cost{number}": one for number, one in enumerate(costs)}
        )
        if not named:
            raise InvalidSpec("a search needs at least one cost beside accuracy", field="costs")
        for name in limits or {}:
            if name not in named:
                raise InvalidSpec(
                    f"limit on {name!r}, but the costs are {', '.join(named)}", field=name
                )
        self.space = space
        self._costs = tuple(named.values())
        self._limits = np.array([(limits or {}).get(name, np.inf) for name in named])

    def architectures(self, genotypes: IntArray) -> IntArray:
        """The genotypes themselves."""
        return genotypes

    def features(self, architectures: IntArray) -> FloatArray:
        """The space's."""
        return self.space.features(architectures)

    def costs_of(self, genotypes: IntArray) -> FloatArray:
        """One column a cost."""
        return np.column_stack([cost(genotypes) for cost in self._costs]).astype(np.float64)

    def excess(self, genotypes: IntArray) -> FloatArray:
        """See `SamplingProblem.excess`."""
        if not np.isfinite(self._limits).any():
            return np.full(len(genotypes), -np.inf)
        return np.asarray((self.costs_of(genotypes) / self._limits - 1.0).max(axis=1))

    def delivered_accuracy(self, accuracy: FloatArray, genotypes: IntArray) -> FloatArray:
        """Accuracy as it is."""
        del genotypes
        return accuracy

    @property
    def highest_costs(self) -> FloatArray | None:
        """The limits, where each cost has one."""
        return self._limits if np.isfinite(self._limits).all() else None
