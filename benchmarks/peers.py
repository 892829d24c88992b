"""Samplers that a search is compared with; each gives the order in which it queries cells.

A peer may propose the same cell again: a repeat is answered from memory and is no query, as it
would be in practice, so a peer is not charged for its duplicates. What it cannot do is query a
cell that it never proposes: one that runs dry is filled up at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import optuna

from nas_service.search.candidate_pool import Pool
from nas_service.search.evolve import evolve
from nas_service.search.guided import propose
from nas_service.search.promotion import Promotion, promoted
from nas_service.search.sampling_problem import CostedSpace
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.cell import NasBench201Space
from predictors.gaussian_process import GaussianProcessPredictor

MAX_PROPOSALS = 20


@dataclass(frozen=True)
class Lookup:
    """A benchmark: the class of any genotype (-1: not a network), and each class's values.

    `cheap` are accuracies after a short training.
    """

    space: NasBench201Space
    class_of: Callable[[IntArray], IntArray]
    genotypes: IntArray
    accuracy: FloatArray
    cost: FloatArray
    cheap: FloatArray

    def task(self) -> CostedSpace:
        """The benchmark as a sampler sees it: costs are known, accuracies are not."""
        return CostedSpace(self.space, {"cost": lambda rows: self.cost[self.class_of(rows)]})


class Log:
    """Classes in the order of their first query."""

    def __init__(self, lookup: Lookup, n: int, seed: int) -> None:
        self._lookup = lookup
        self._n = n
        self._seen = np.zeros(len(lookup.cost), dtype=np.bool_)
        self.order: list[int] = []
        self.proposals = 0
        self.repeats = 0
        self._seed = seed

    @property
    def full(self) -> bool:
        """Whether the queries are spent, or the sampler goes round in circles."""
        return len(self.order) >= self._n or self.proposals >= MAX_PROPOSALS * self._n

    def ask(self, genotype: IntArray) -> tuple[float, float] | None:
        """Accuracy and cost of a genotype; None where it is not a network."""
        self.proposals += 1
        which = int(self._lookup.class_of(genotype[None, :])[0])
        if which < 0:
            return None
        if self._seen[which]:
            self.repeats += 1
        else:
            self._seen[which] = True
            if len(self.order) < self._n:
                self.order.append(which)
        return float(self._lookup.accuracy[which]), float(self._lookup.cost[which])

    def filled(self) -> IntArray:
        """The order, filled up at random where a sampler ran dry."""
        rest = np.random.default_rng([self._seed, 99]).permutation(np.flatnonzero(~self._seen))
        return np.array([*self.order, *rest][: self._n], dtype=np.int64)


Method = Callable[[Lookup, int, int], tuple[IntArray, Log]]


def random(lookup: Lookup, n: int, seed: int) -> tuple[IntArray, Log]:
    """Cells in random order."""
    log = Log(lookup, n, seed)
    for which in np.random.default_rng(seed).permutation(len(lookup.cost))[:n]:
        log.ask(lookup.genotypes[which])
    return log.filled(), log


def stratified(lookup: Lookup, n: int, seed: int) -> tuple[IntArray, Log]:
    """Random, each ten spread evenly over the cost."""
    generator = np.random.default_rng(seed)
    log = Log(lookup, n, seed)
    parts = np.array_split(np.argsort(lookup.cost, kind="stable"), 10)
    orders = [generator.permutation(part) for part in parts]
    places = generator.permutation(10)
    for number in range(n):
        if number % 10 == 0:
            places = generator.permutation(10)
        log.ask(lookup.genotypes[orders[places[number % 10]][number // 10]])
    return log.filled(), log


def optuna_method(make: Callable[[int], optuna.samplers.BaseSampler]) -> Method:
    """A search by one of Optuna's samplers: accuracy up, ln cost down."""

    def run(lookup: Lookup, n: int, seed: int) -> tuple[IntArray, Log]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        log = Log(lookup, n, seed)
        space: dict[str, optuna.distributions.BaseDistribution] = {
            decision.name: optuna.distributions.CategoricalDistribution(range(decision.size))
            for decision in lookup.space.decisions
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(directions=["maximize", "minimize"], sampler=make(seed))
        while not log.full:
            trial = study.ask(space)
            found = log.ask(np.array([trial.params[d.name] for d in lookup.space.decisions]))
            if found is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, [found[0], float(np.log(found[1]))])
        return log.filled(), log

    return run


def pymoo_nsga2(population: int) -> Method:
    """NSGA-II of pymoo on the same decisions as integers."""

    def run(lookup: Lookup, n: int, seed: int) -> tuple[IntArray, Log]:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling

        log = Log(lookup, n, seed)
        d = len(lookup.space.decisions)
        algorithm = NSGA2(
            pop_size=population,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        problem = Problem(n_var=d, n_obj=2, xl=np.zeros(d), xu=np.full(d, 4), vtype=int)
        algorithm.setup(problem, termination=("n_gen", 10_000), seed=seed, verbose=False)
        worst = np.array([1.0, float(np.log(lookup.cost.max())) + 1.0])
        while not log.full and algorithm.has_next():
            asked = algorithm.ask()
            if asked is None or not len(asked):
                break
            values = np.empty((len(asked), 2))
            for i, row in enumerate(asked.get("X")):
                found = log.ask(np.round(row).astype(np.int64))
                values[i] = worst if found is None else (1 - found[0], np.log(found[1]))
            asked.set("F", values)
            algorithm.evaluator.n_eval += len(asked)
            for one in asked:
                one.evaluated.update({"F", "G", "H"})
            algorithm.tell(infills=asked)
        return log.filled(), log

    return run


def _names(lookup: Lookup) -> tuple[str, ...]:
    return lookup.space.feature_names


def guided(lookup: Lookup, n: int, seed: int, candidates: int = 1) -> tuple[IntArray, Log]:
    """Ours: batches grow with the evaluations, a 25th of them, one to eight.

    The predictor is the Gaussian process alone, which the default mostly consists of: thousands of
    runs are made here, and the default tries trees, too, at each refit. With more `candidates` than
    one a query, all get a cheap look and the most promising of them are queried.
    """
    log = Log(lookup, n, seed)
    task = lookup.task()
    pool = Pool(task)
    predictor = GaussianProcessPredictor(names=_names(lookup))
    promotion = Promotion(
        12 / 200, candidates, lambda names: GaussianProcessPredictor(names=names), _names(lookup)
    )
    rows = np.empty((0, len(lookup.space.decisions)), dtype=np.int64)
    accuracy = np.empty(0)
    while len(rows) < n:
        size = min(max(1, min(8, len(rows) // 25)), n - len(rows))
        proposed = propose(
            task, pool, lambda: predictor, rows, accuracy, size * candidates, seed=(seed, len(rows))
        )
        if not len(proposed):
            break
        if candidates > 1:
            look, known = lookup.cheap[lookup.class_of(proposed)], np.empty(0)
            if len(rows):
                known = lookup.cheap[lookup.class_of(rows)]
            kept = promoted(task, pool, promotion, rows, accuracy, known, proposed, look, size)
            proposed = proposed[kept]
        answers = [log.ask(row) for row in proposed]
        rows = np.concatenate([rows, proposed])
        accuracy = np.concatenate([accuracy, [one[0] for one in answers if one is not None]])
    return log.filled(), log


def nsga2_on_ours(lookup: Lookup, n: int, seed: int) -> tuple[IntArray, Log]:
    """NSGA-II on our predictor and tables: what they alone are worth, without our choice.

    The predictor is refitted after every 20 queries; of all networks that NSGA-II met since, the 20
    that come first by front and crowding, and were not queried, are queried next.
    """
    generator = np.random.default_rng([seed, 5])
    log = Log(lookup, n, seed)
    task = lookup.task()
    pool = Pool(task)
    predictor = GaussianProcessPredictor(names=_names(lookup))
    rows = pool.draw(20, generator)
    rows = rows[np.sort(np.unique(pool.keys(rows), return_index=True)[1])]
    accuracy = np.array([answer[0] for row in rows if (answer := log.ask(row)) is not None])
    while len(rows) < n:
        predictor.fit(task.features(rows), accuracy)

        def score(genotypes: IntArray) -> tuple[FloatArray, FloatArray]:
            mean = predictor.predict(task.features(genotypes)).mean
            return (
                np.column_stack([1 - mean, np.log(task.costs_of(genotypes)[:, 0])]),
                np.zeros(len(genotypes)),
            )

        met = evolve(task.space, score, generator, start=pool.draw(100, generator), population=100)
        fresh = met[~pool.among(task, met, rows)]
        best = fresh[evolve_order(score(fresh)[0])[: min(20, n - len(rows))]]
        if not len(best):
            break
        accuracy = np.concatenate(
            [accuracy, [a[0] for row in best if (a := log.ask(row)) is not None]]
        )
        rows = np.concatenate([rows, best])
    return log.filled(), log


def evolve_order(losses: FloatArray) -> IntArray:
    """Rows by front, then by crowding, as NSGA-II would keep them."""
    from nas_service.search.pareto import crowding, ranks

    level = ranks(losses)
    spread = np.zeros(len(losses))
    for front in np.unique(level):
        rows = level == front
        spread[rows] = crowding(losses[rows])
    return np.lexsort((-spread, level))


METHODS: dict[str, Method] = {
    "guided": guided,
    "guided, 12-epoch looks at three a query": lambda lookup, n, seed: guided(
        lookup, n, seed, candidates=3
    ),
    "random": random,
    "random, stratified by cost": stratified,
    "NSGA-II on our predictor and tables": nsga2_on_ours,
    "Optuna TPE": optuna_method(lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "Optuna NSGA-II, population 20": optuna_method(
        lambda seed: optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
    ),
    "Optuna NSGA-II, population 50": optuna_method(
        lambda seed: optuna.samplers.NSGAIISampler(population_size=50, seed=seed)
    ),
    "pymoo NSGA-II, population 20": pymoo_nsga2(20),
    "Optuna GP": optuna_method(lambda seed: optuna.samplers.GPSampler(seed=seed)),
}
