"""Candidates: architectures with their estimates, and the front among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lookup_tables.target import Deployment
from nas_service.search.evaluate import Problem
from nas_service.search.pareto import hypervolume, non_dominated
from nas_service.search.values import Estimate, Estimates
from nas_service.space.base import FloatArray, describe
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


def candidates_of(
    problem: Problem, genotypes: Genotypes, accuracy: FloatArray, std: FloatArray
) -> list[Candidate]:
    """Candidates for `n` genotypes with their shared-weight accuracies and deviations `(n,)`."""
    shipped = problem.delivered_accuracy(accuracy, genotypes)
    estimates = problem.estimates(genotypes)
    costs = problem.costs_of(genotypes)
    feasible = problem.feasible(genotypes)
    found = []
    for i, one in enumerate(genotypes):
        which = one.deployment
        found.append(
            Candidate(
                genotype=one,
                architecture=describe(problem.space.architectures, one.row),
                deployment=problem.space.deployments[which],
                target=problem.costs[which].target.key,
                predicted_accuracy=round(float(shipped[i]), 6),
                predicted_accuracy_std=round(float(std[i]), 6),
                estimates={
                    name: Estimate(round(float(value[i]), 6), round(float(bound[i]), 6))
                    for name, (value, bound) in estimates.items()
                },
                objectives={
                    name: round(float(cost), 6)
                    for name, cost in zip(problem.objectives, costs[i], strict=True)
                },
                keeps_limits=bool(feasible[i]),
            )
        )
    return found


def front_of(problem: Problem, candidates: list[Candidate]) -> ParetoFront:
    """The front among candidates that keep every limit, over all objectives of the problem."""
    feasible = [one for one in candidates if one.keeps_limits]
    if not feasible:
        return ParetoFront((), 0.0, problem.limit_ms)
    losses = np.array(
        [[1.0 - c.predicted_accuracy, *c.objectives.values()] for c in feasible], dtype=np.float64
    )
    members = [one for one, keep in zip(feasible, non_dominated(losses), strict=True) if keep]
    members.sort(key=lambda one: (one.estimates["latency_ms"].value, one.genotype))
    highest = problem.highest_costs
    costs = losses[:, 1:].max(axis=0) if highest is None else highest
    area = hypervolume(losses, np.array([1.0, *costs]))
    return ParetoFront(tuple(members), area, problem.limit_ms)
