"""Candidates: architectures with their estimates, and the front among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lookup_tables.target import Deployment
from nas_service.search.evaluate import Problem
from nas_service.search.pareto import BoolArray, hypervolume, non_dominated
from nas_service.search.values import Estimate, Estimates
from nas_service.space.base import FloatArray, IntArray, SearchSpace, describe
from nas_service.space.genotypes import Genotype, Genotypes


@dataclass(frozen=True, slots=True)
class Candidate:
    """An architecture in one deployment with what is expected of it; nothing here was measured."""

    genotype: Genotype
    architecture: dict[str, Any]
    deployment: Deployment
    target: str
    predicted_accuracy: float
    predicted_accuracy_std: float
    estimates: Estimates
    objectives: dict[str, float]
    keeps_limits: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; what every search knows also by names of its own."""
        latency, energy = self.estimates["latency_ms"], self.estimates.get("energy_mj")
        counts = ("size_bytes", "peak_memory_bytes", "macs", "parameters")
        return {
            "genotype": self.genotype.as_list(),
            "architecture": self.architecture,
            "precision": self.deployment.name,
            "target": self.target,
            "predicted_accuracy": self.predicted_accuracy,
            "predicted_accuracy_std": self.predicted_accuracy_std,
            "predicted_latency_ms": latency.value,
            "latency_upper_ms": latency.upper,
            "predicted_energy_mj": None if energy is None else energy.value,
            **{name: int(self.estimates[name].value) for name in counts},
            "estimates": {name: one.as_dict() for name, one in self.estimates.items()},
            "objectives": self.objectives,
            "keeps_limits": self.keeps_limits,
        }


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """The feasible candidates that no other dominates, fastest first, with their hypervolume."""

    candidates: tuple[Candidate, ...]
    hypervolume: float
    limit_ms: float


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidates of a search as columns, each `(n,)`; rows become `Candidate`s when asked for.

    `estimates` are values and upper bounds by quantity, `objectives` what is minimised beside the
    score. Numbers are rounded to six digits, as they are stored and shown.
    """

    space: SearchSpace
    deployments: tuple[Deployment, ...]
    targets: tuple[str, ...]
    genotypes: Genotypes
    accuracy: FloatArray
    accuracy_std: FloatArray
    estimates: Mapping[str, tuple[FloatArray, FloatArray]]
    objectives: Mapping[str, FloatArray]
    keeps_limits: BoolArray

    def __len__(self) -> int:
        return len(self.genotypes)

    def __getitem__(self, index: int) -> Candidate:
        architecture = self.genotypes.architectures[index]
        which = int(self.genotypes.deployments[index])
        return Candidate(
            genotype=Genotype(tuple(architecture.tolist()), which),
            architecture=describe(self.space, architecture),
            deployment=self.deployments[which],
            target=self.targets[which],
            predicted_accuracy=float(self.accuracy[index]),
            predicted_accuracy_std=float(self.accuracy_std[index]),
            estimates={
                name: Estimate(float(value[index]), float(bound[index]))
                for name, (value, bound) in self.estimates.items()
            },
            objectives={name: float(cost[index]) for name, cost in self.objectives.items()},
            keeps_limits=bool(self.keeps_limits[index]),
        )

    def __iter__(self) -> Iterator[Candidate]:
        return map(self.__getitem__, range(len(self)))

    def at(self, genotype: Genotype) -> Candidate:
        """The candidate of that genotype; raises `KeyError` where it is none."""
        return self[self.row(genotype)]

    def row(self, genotype: Genotype) -> int:
        """Its number; raises `KeyError` where it is none."""
        return self._rows[genotype]

    @cached_property
    def _rows(self) -> dict[Genotype, int]:
        return {one: row for row, one in enumerate(self.genotypes)}


def candidates_of(
    problem: Problem, genotypes: Genotypes, accuracy: FloatArray, std: FloatArray
) -> Candidates:
    """Candidates for `n` genotypes with their shared-weight accuracies and deviations `(n,)`."""
    costs = problem.costs_of(genotypes)
    return Candidates(
        space=problem.space.architectures,
        deployments=tuple(problem.space.deployments),
        targets=tuple(one.target.key for one in problem.costs),
        genotypes=genotypes,
        accuracy=_rounded(problem.delivered_accuracy(accuracy, genotypes)),
        accuracy_std=_rounded(std),
        estimates={
            name: (_rounded(value), _rounded(bound))
            for name, (value, bound) in problem.estimates(genotypes).items()
        },
        objectives={name: _rounded(costs[:, k]) for k, name in enumerate(problem.objectives)},
        keeps_limits=problem.feasible(genotypes),
    )


def _rounded(values: FloatArray) -> FloatArray:
    """To six digits, to the nearest decimal as Python rounds: numpy's scaling is an ulp off."""
    return np.array([round(one, 6) for one in values.tolist()], dtype=np.float64)


def front_of(problem: Problem, candidates: Candidates) -> ParetoFront:
    """The front among candidates that keep every limit, over all objectives of the problem."""
    rows = on_front(candidates)
    if not len(rows):
        return ParetoFront((), 0.0, problem.limit_ms)
    members = [candidates[row] for row in rows.tolist()]
    members.sort(key=lambda one: (one.estimates["latency_ms"].value, one.genotype))
    losses = _losses(candidates)[candidates.keeps_limits]
    highest = problem.highest_costs
    costs = losses[:, 1:].max(axis=0) if highest is None else highest
    area = hypervolume(losses, np.array([1.0, *costs]))
    return ParetoFront(tuple(members), area, problem.limit_ms)


def on_front(candidates: Candidates) -> IntArray:
    """Rows of candidates that keep every limit and that no other such dominates: `(k,)`."""
    feasible = np.flatnonzero(candidates.keeps_limits)
    if not len(feasible):
        return feasible
    return np.asarray(feasible[non_dominated(_losses(candidates)[feasible])])


def _losses(candidates: Candidates) -> FloatArray:
    return np.column_stack([1.0 - candidates.accuracy, *candidates.objectives.values()])
