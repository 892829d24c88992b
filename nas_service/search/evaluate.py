"""A search problem: objectives and limits of a batch of genotypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.search.cost import CostModel, StructureModel
from nas_service.search.memory import MemoryModel
from nas_service.search.pareto import BoolArray
from nas_service.search.shipping import ShippingModel
from nas_service.space.base import FloatArray, IntArray, SearchSpace
from nas_service.space.deployment import DeploymentSpace
from nas_service.space.genotypes import Genotypes

STRUCTURAL = ("size_bytes", "macs", "parameters", "peak_memory_bytes")
"""What follows from a network's sizes alone."""
ON_DEVICES = ("latency_ms", "energy_mj")
"""What tables give; `latency_ms@DEVICE` is that on another device of the search."""
WORST = "worst"
"""`latency_ms@worst` is the highest latency over all devices of the search."""
_NEVER = 1e6
"""The excess of what does not run: finite, since excesses are compared and stored."""


def check_quantity(name: str, also_devices: Sequence[str]) -> None:
    """Raise `InvalidSpec`, which lists the known ones, where nothing gives a quantity."""
    at = [f"@{one}" for one in (*also_devices, WORST)] if also_devices else []
    known = [f"{metric}{one}" for metric in ON_DEVICES for one in ("", *at)]
    known += STRUCTURAL
    if name not in known:
        raise InvalidSpec(
            f"no cost source gives {name!r}; known: {', '.join(known)}",
            field="objectives",
            known_names=known,
        )


@dataclass(frozen=True)
class Problem:
    """Accuracy up, costs down, costs below limits, over architectures and precisions.

    `costs` and `shipping` have one member a deployment; `others` are the cost models of further
    devices by name. `objectives` name what is minimised beside 1 - accuracy: `latency_ms` (on the
    search's own device), `latency_ms@DEVICE`, `latency_ms@worst`, `size_bytes`, `macs`,
    `parameters`; `limits` bound such quantities. A latency is held against its limit at the
    estimate's upper bound at `limit_probability`. `structure` is that of architectures as they are
    trained; `shipped_as` are the spaces of what they ship as, one a precision, where a recipe
    changes sizes. `runs` tells of architectures whether the devices have all their operators; those
    that they cannot run keep no limit.
    """

    space: DeploymentSpace
    costs: tuple[CostModel, ...]
    shipping: tuple[ShippingModel, ...]
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
            check_quantity(name, tuple(self.others))

    def latency_ms(self, genotypes: Genotypes) -> FloatArray:
        """Estimated latency on the target of each row's precision: `(n,)`."""
        return self._latency(self.costs, genotypes)

    def upper_ms(self, genotypes: Genotypes) -> FloatArray:
        """The latency that the measured one stays below with the limit's probability: `(n,)`."""
        return self._upper(self.costs, genotypes)

    def quantity(self, name: str, genotypes: Genotypes) -> FloatArray:
        """The objective or limited quantity of that name: `(n,)`."""
        models = self._models(name)
        if models:
            of = self._energy if name.startswith("energy_mj") else self._latency
            return np.asarray(np.max([of(one, genotypes) for one in models], axis=0))
        if name == "size_bytes":
            return self.size_bytes(genotypes)
        if name == "peak_memory_bytes":
            return self.peak_memory_bytes(genotypes)
        return self.structural(name, genotypes)

    def feasible(self, genotypes: Genotypes) -> BoolArray:
        """Rows that keep every limit: `(n,)`."""
        return np.asarray(self.excess(genotypes) <= 0)

    def excess(self, genotypes: Genotypes) -> FloatArray:
        """By what share the worst limit is exceeded, 0 or less where all hold: `(n,)`."""
        found = self.upper_ms(genotypes) / self.limit_ms - 1.0
        for name, limit in self.limits.items():
            models = self._models(name) if name.startswith("latency_ms") else []
            value = (
                np.max([self._upper(one, genotypes) for one in models], axis=0)
                if models
                else self.quantity(name, genotypes)
            )
            found = np.maximum(found, value / limit - 1.0)
        if self.runs is not None:
            found = np.where(self.runs(genotypes.architectures), found, np.maximum(found, _NEVER))
        return np.asarray(found)

    def size_bytes(self, genotypes: Genotypes) -> FloatArray:
        """Estimated size of the shipped file: `(n,)`."""

        def size(which: int, architectures: IntArray) -> FloatArray:
            return self._structures[which](architectures).size_bytes(self.space.deployments[which])

        return self._by_deployment(genotypes, size)

    def structural(self, name: str, genotypes: Genotypes) -> FloatArray:
        """MACs or parameters of what ships: `(n,)`."""
        return self._by_deployment(
            genotypes, lambda which, rows: np.asarray(getattr(self._structures[which](rows), name))
        )

    def peak_memory_bytes(self, genotypes: Genotypes) -> FloatArray:
        """Planned peak of activations: `(n,)`."""
        return self._by_deployment(
            genotypes, lambda which, rows: self._memories[which].peak_bytes(rows)
        )

    @cached_property
    def _spaces(self) -> tuple[SearchSpace, ...]:
        return self.shipped_as or (self.space.architectures,) * len(self.space.deployments)

    @cached_property
    def _structures(self) -> list[StructureModel]:
        known: dict[int, StructureModel] = {id(self.space.architectures): self.structure}
        for one in self._spaces:
            if id(one) not in known:
                known[id(one)] = StructureModel(one)
        return [known[id(one)] for one in self._spaces]

    @cached_property
    def _memories(self) -> list[MemoryModel]:
        known = {id(one): MemoryModel(one) for one in self._spaces}
        return [known[id(one)] for one in self._spaces]

    def features(self, architectures: IntArray) -> FloatArray:
        """What predictors read of architectures."""
        return self.space.architectures.features(architectures)

    def costs_of(self, genotypes: Genotypes) -> FloatArray:
        """Every objective but accuracy: `(n, k)`."""
        return np.column_stack([self.quantity(name, genotypes) for name in self.objectives])

    def shipped_accuracy(self, accuracy: FloatArray, genotypes: Genotypes) -> FloatArray:
        """Accuracy of the shipped file from that under shared weights: `(n,)` or `(n, q)`."""
        macs = self.structure(genotypes.architectures).macs
        if accuracy.ndim == 2:
            macs = macs[:, None]
        shipped = np.stack([model.shipped(accuracy, macs) for model in self.shipping])
        return np.asarray(shipped[genotypes.deployments, np.arange(len(genotypes))])

    def losses(self, genotypes: Genotypes, accuracy: FloatArray) -> FloatArray:
        """What is minimised, `(n, 1 + k)`: 1 - shipped accuracy, then the objectives."""
        shipped = self.shipped_accuracy(accuracy, genotypes)
        return np.column_stack([1.0 - shipped, self.costs_of(genotypes)])

    @property
    def highest_costs(self) -> FloatArray | None:
        """The limits of the objectives, where each has one."""
        limits = {"latency_ms": self.limit_ms, **self.limits}
        if any(name not in limits for name in self.objectives):
            return None
        return np.array([limits[name] for name in self.objectives])

    def _models(self, name: str) -> list[tuple[CostModel, ...]]:
        """The cost models behind a latency or energy; none for what follows from structure."""
        check_quantity(name, tuple(self.others))
        metric, at, device = name.partition("@")
        if metric in STRUCTURAL:
            return []
        if not at:
            return [self.costs]
        return [self.costs, *self.others.values()] if device == WORST else [self.others[device]]

    def _latency(self, costs: tuple[CostModel, ...], genotypes: Genotypes) -> FloatArray:
        return self._by_deployment(genotypes, lambda which, rows: costs[which].latency_ms(rows))

    def _energy(self, costs: tuple[CostModel, ...], genotypes: Genotypes) -> FloatArray:
        return self._by_deployment(genotypes, lambda which, rows: costs[which].energy_mj(rows))

    def _upper(self, costs: tuple[CostModel, ...], genotypes: Genotypes) -> FloatArray:
        factors = np.array([cost.upper_factor(self.limit_probability) for cost in costs])
        return np.asarray(self._latency(costs, genotypes) * factors[genotypes.deployments])

    def _by_deployment(
        self, genotypes: Genotypes, of: Callable[[int, IntArray], FloatArray]
    ) -> FloatArray:
        found = np.empty(len(genotypes))
        for which in range(len(self.space.deployments)):
            rows = genotypes.deployments == which
            if rows.any():
                found[rows] = of(which, genotypes.architectures[rows])
        return found
