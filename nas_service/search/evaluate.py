"""A search problem: objectives and limits of a batch of genotypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.search.cost import CostModel, StructureModel
from nas_service.search.delivery_gap import DeliveryGap
from nas_service.search.pareto import BoolArray
from nas_service.search.quantities.base import Priced, Quantity
from nas_service.search.quantities.registry import WORST, QuantityAt, quantities
from nas_service.space.base import FloatArray, IntArray, SearchSpace
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.genotypes import Genotypes

_NEVER = 1e6
"""The excess of what does not run: finite, since excesses are compared and stored."""


@dataclass(frozen=True)
class Problem:
    """Accuracy up, costs down, costs below limits, over architectures and precisions.

    `costs` and `shipping` have one member a deployment; `others` are the cost models of further
    devices by name. `objectives` name the quantities that are minimised beside 1 - accuracy, on the
    search's own device, on another (`latency_ms@DEVICE`) or on the worst; `limits` bound such
    quantities, held against the estimate's upper bound at `limit_probability`. `structure` is that
    of architectures as they are trained; `shipped_as` are the spaces of what they ship as, one a
    precision, where a recipe changes sizes. `runs` tells of architectures whether the devices have
    all their operators; those that they cannot run keep no limit.
    """

    space: DeploymentSpace
    costs: tuple[CostModel, ...]
    shipping: tuple[DeliveryGap, ...]
    structure: StructureModel
    limit_ms: float
    limit_probability: float
    objectives: tuple[str, ...] = ("latency_ms",)
    limits: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, tuple[CostModel, ...]] = field(default_factory=dict)
    shipped_as: tuple[SearchSpace, ...] = ()
    runs: Callable[[IntArray], BoolArray] | None = None

    def __post_init__(self) -> None:
        if not self.objectives:
            raise InvalidSpec("a search needs a cost beside accuracy", field="objectives")
        for name in (*self.objectives, *self.limits):
            QuantityAt.parse(name, tuple(self.others))

    def latency_ms(self, genotypes: Genotypes) -> FloatArray:
        """Estimated latency on the target of each row's precision: `(n,)`."""
        return self.quantity("latency_ms", genotypes)

    def upper_ms(self, genotypes: Genotypes) -> FloatArray:
        """The latency that the measured one stays below with the limit's probability: `(n,)`."""
        return self.upper("latency_ms", genotypes)

    def quantity(self, name: str, genotypes: Genotypes) -> FloatArray:
        """The objective or limited quantity of that name: `(n,)`."""
        at = QuantityAt.parse(name, tuple(self.others))
        on_each = (self._estimate(at.quantity, one, genotypes) for one in self._priced_for(at))
        return np.asarray(reduce(np.maximum, on_each))

    def upper(self, name: str, genotypes: Genotypes) -> FloatArray:
        """What the measured quantity stays below with the limit's probability: `(n,)`."""
        at = QuantityAt.parse(name, tuple(self.others))
        on_each = (self._upper(at.quantity, one, genotypes) for one in self._priced_for(at))
        return np.asarray(reduce(np.maximum, on_each))

    def estimates(self, genotypes: Genotypes) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Every quantity that is known on the search's own device, and its bound: `(n,)` each."""
        return {
            name: (
                self._estimate(one, self.priced, genotypes),
                self._upper(one, self.priced, genotypes),
            )
            for name, one in quantities().items()
            if all(one.known(priced) for priced in self.priced)
        }

    def feasible(self, genotypes: Genotypes) -> BoolArray:
        """Rows that keep every limit: `(n,)`."""
        return np.asarray(self.excess(genotypes) <= 0)

    def excess(self, genotypes: Genotypes) -> FloatArray:
        """By what share the worst limit is exceeded, 0 or less where all hold: `(n,)`."""
        excess = self.upper_ms(genotypes) / self.limit_ms - 1.0
        for name, limit in self.limits.items():
            excess = np.maximum(excess, self.upper(name, genotypes) / limit - 1.0)
        if self.runs is not None:
            runs = self.runs(genotypes.architectures)
            excess = np.where(runs, excess, np.maximum(excess, _NEVER))
        return np.asarray(excess)

    @cached_property
    def priced(self) -> tuple[Priced, ...]:
        """What the search's own device is priced by, one a deployment."""
        return self._priced(self.costs)

    def _priced(self, costs: tuple[CostModel, ...]) -> tuple[Priced, ...]:
        spaces = self.shipped_as or (self.space.architectures,) * len(self.space.deployments)
        parts = zip(self.space.deployments, spaces, costs, strict=True)
        return tuple(Priced(*one, self._compiled) for one in parts)

    @cached_property
    def _compiled(self) -> dict[Any, Any]:
        """Models that quantities have compiled against the spaces, shared by all devices."""
        return {(StructureModel, id(self.space.architectures)): self.structure}

    def features(self, architectures: IntArray) -> FloatArray:
        """What predictors read of architectures."""
        return self.space.architectures.features(architectures)

    def costs_of(self, genotypes: Genotypes) -> FloatArray:
        """Every objective but accuracy: `(n, k)`."""
        return np.column_stack([self.quantity(name, genotypes) for name in self.objectives])

    def delivered_accuracy(self, accuracy: FloatArray, genotypes: Genotypes) -> FloatArray:
        """Accuracy of the shipped file from that under shared weights: `(n,)` or `(n, q)`."""
        macs = self.structure(genotypes.architectures).macs
        if accuracy.ndim == 2:
            macs = macs[:, None]
        shipped = np.stack([model.shipped(accuracy, macs) for model in self.shipping])
        return np.asarray(shipped[genotypes.deployments, np.arange(len(genotypes))])

    def losses(self, genotypes: Genotypes, accuracy: FloatArray) -> FloatArray:
        """What is minimised, `(n, 1 + k)`: 1 - shipped accuracy, then the objectives."""
        shipped = self.delivered_accuracy(accuracy, genotypes)
        return np.column_stack([1.0 - shipped, self.costs_of(genotypes)])

    @property
    def highest_costs(self) -> FloatArray | None:
        """The limits of the objectives, where each has one."""
        limits = {"latency_ms": self.limit_ms, **self.limits}
        if any(name not in limits for name in self.objectives):
            return None
        return np.array([limits[name] for name in self.objectives])

    def _priced_for(self, at: QuantityAt) -> list[tuple[Priced, ...]]:
        """What prices a quantity on the device that it is asked for on, or on all of them."""
        if not at.device:
            return [self.priced]
        if at.device == WORST:
            return [self.priced, *(self._elsewhere[name] for name in self.others)]
        return [self._elsewhere[at.device]]

    @cached_property
    def _elsewhere(self) -> dict[str, tuple[Priced, ...]]:
        return {name: self._priced(costs) for name, costs in self.others.items()}

    def _estimate(
        self, quantity: Quantity, priced: tuple[Priced, ...], genotypes: Genotypes
    ) -> FloatArray:
        return self._by_deployment(
            genotypes, lambda which, rows: quantity.expected(priced[which], rows)
        )

    def _upper(
        self, quantity: Quantity, priced: tuple[Priced, ...], genotypes: Genotypes
    ) -> FloatArray:
        factors = [quantity.upper_factor(one, self.limit_probability) for one in priced]
        estimate = self._estimate(quantity, priced, genotypes)
        return np.asarray(estimate * np.array(factors)[genotypes.deployments])

    def _by_deployment(
        self, genotypes: Genotypes, of: Callable[[int, IntArray], FloatArray]
    ) -> FloatArray:
        found = np.empty(len(genotypes))
        for which in range(len(self.space.deployments)):
            rows = genotypes.deployments == which
            if rows.any():
                found[rows] = of(which, genotypes.architectures[rows])
        return found
