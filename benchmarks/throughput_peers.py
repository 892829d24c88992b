"""NSGA-II of pymoo and of Optuna on the same losses: evaluations a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import optuna

from nas_service.search.guided_sampler import distributions_of
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.mbconv import MbconvSpace

Losses = Callable[[IntArray], FloatArray]


def measure(space: MbconvSpace, losses: Losses, seed: int) -> list[tuple[str, float, int]]:
    """Name, evaluations a second and number of evaluations of each."""
    return [_pymoo(space, losses, seed), _optuna(space, losses, seed)]


def _pymoo(space: MbconvSpace, losses: Losses, seed: int) -> tuple[str, float, int]:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Scored(Problem):  # type: ignore[misc]
        def _evaluate(self, x: IntArray, out: dict[str, FloatArray], **_: object) -> None:
            out["F"] = losses(np.round(x).astype(np.int64))

    upper = np.array([decision.size - 1 for decision in space.decisions])
    problem = Scored(n_var=len(upper), n_obj=2, xl=np.zeros(len(upper)), xu=upper, vtype=int)
    algorithm = NSGA2(
        pop_size=1000,
        sampling=IntegerRandomSampling(),
        crossover=UX(),
        mutation=PM(vtype=float, repair=RoundingRepair()),
    )
    started = time.perf_counter()
    found = minimize(problem, algorithm, ("n_gen", 20), seed=seed, verbose=False)
    n = int(found.algorithm.evaluator.n_eval)
    return "pymoo NSGA-II", n / (time.perf_counter() - started), n


def _optuna(space: MbconvSpace, losses: Losses, seed: int) -> tuple[str, float, int]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=1000, seed=seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    names = [decision.name for decision in space.decisions]
    asked = distributions_of(space.decisions)
    n = 2000
    started = time.perf_counter()
    for _ in range(n):
        trial = study.ask(asked)
        row = np.array([[int(trial.params[name]) for name in names]], dtype=np.int64)
        study.tell(trial, [float(v) for v in losses(row)[0]])
    return "Optuna NSGA-II", n / (time.perf_counter() - started), n
