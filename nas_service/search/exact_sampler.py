"""A sampler that solves for its proposals: scores learned a decision at a time, limits exact.

What an architecture is worth is learned as a sum over its decisions (ridge on one column a value);
each proposal is the best network under a latency between the cheapest one's and the limit, by the
tables. Evaluations correct the scores, and the program is solved again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from nas_service.search.exact import ExactChoice, Limited
from nas_service.search.samplers import SamplerContext
from nas_service.search.slot_sums import SlotTable
from nas_service.space.base import FloatArray, IntArray, SearchSpace
from nas_service.space.products import SlotProducts
from nas_service.space.rule import ProductsRule
from nas_service.space.ruled import linear_rows, rules_in

_RIDGE = 1.0
_LEAST_SHARE = 0.35
"""Of the limit, the lowest latency that proposals aim at."""
_NEAR_SHARE = 0.9
"""The same where costs were corrected near the limit."""


def exact(context: SamplerContext) -> optuna.samplers.BaseSampler:
    """Proposals of one batch, each the optimum under its own latency."""
    return GivenSampler(context.sampling.space.decisions, _proposals(context), context.seed)


class GivenSampler(optuna.samplers.BaseSampler):
    """Hands out genotypes `(n, d)` in order, then random ones."""

    reads_trials = False

    def __init__(self, decisions: Sequence[Any], rows: Sequence[IntArray], seed: int) -> None:
        self._positions = {one.name: place for place, one in enumerate(decisions)}
        self._left = list(rows)
        self._given: dict[int, IntArray] = {}
        self._random = optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """None: decisions are handed out one by one."""
        del study, trial
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Take the next genotype for this trial."""
        del study, search_space
        if self._left:
            self._given[trial.number] = self._left.pop(0)
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The decision's position."""
        row = self._given.get(trial.number)
        if row is None:
            return self._random.sample_independent(study, trial, param_name, param_distribution)
        return int(row[self._positions[param_name]])


def learned(
    sizes: Sequence[int], architectures: IntArray, accuracy: FloatArray
) -> list[FloatArray]:
    """What each value of each decision adds to accuracy, from architectures `(n, d)`: `(size,)`.

    Values that were never seen add what the mean of their decision does.
    """
    columns = [np.eye(size)[architectures[:, place]] for place, size in enumerate(sizes)]
    design = np.concatenate(columns, axis=1)
    centred = design - design.mean(axis=0)
    gram = centred.T @ centred + _RIDGE * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (accuracy - accuracy.mean()))
    return np.split(weights, np.cumsum(sizes)[:-1])


def _proposals(context: SamplerContext) -> list[IntArray]:
    problem = context.problem
    architectures = problem.space.architectures
    canonical = architectures.canonical(context.architectures)
    sizes = [one.size for one in architectures.decisions]
    scores = learned(sizes, canonical, context.accuracy)
    choice = ExactChoice(architectures, linear_rows(architectures))
    ruled = products_limits(architectures)
    known = list(canonical)
    found: list[IntArray] = []
    n_deployments = len(problem.space.deployments)
    n_levels = max(2, -(-context.batch_size // n_deployments))
    edges = np.linspace(1.0, _NEAR_SHARE if context.near_limit else _LEAST_SHARE, n_levels)
    generator = np.random.default_rng([context.seed, context.batch_number])
    # the limit itself each time, then a level somewhere between each two
    between = edges[1:] + generator.uniform(0.0, 1.0, n_levels - 1) * (edges[:-1] - edges[1:])
    for share in (1.0, *between):
        for deployment in range(n_deployments):
            if len(found) == context.batch_size:
                break
            limits = [*_limits(context, deployment, float(share)), *ruled]
            row = choice.best(scores, limits, np.array(known, dtype=np.int64))
            if row is not None:
                known.append(architectures.canonical(row[None, :])[0])
                found.append(np.append(known[-1], deployment))
    return found


def products_limits(space: SearchSpace) -> list[Limited]:
    """A space's rules on what slots take together, as the solver reads them."""
    return [
        Limited([_by_decision(one) for one in rule.products.slots], rule.most, rule.least)
        for rule in rules_in(space)
        if isinstance(rule, ProductsRule)
    ]


def _by_decision(products: SlotProducts) -> SlotTable:
    order = np.argsort(products.reads, kind="stable")
    reads = tuple(int(products.reads[one]) for one in order)
    return SlotTable(reads, products.table.transpose(order).ravel())


def _limits(context: SamplerContext, deployment: int, share: float) -> list[Limited]:
    """The latency limit, a share of it, held against the estimate's upper bound."""
    problem = context.problem
    model = problem.costs[deployment]
    tables, constant = model.tables()
    factor = model.upper_factor(problem.limit_probability)
    most = share * problem.limit_ms / factor - constant
    return [Limited(tables, most), *_sizes(context, deployment)]


def _sizes(context: SamplerContext, deployment: int) -> list[Limited]:
    """Limits on counted quantities that add up over slots."""
    problem = context.problem
    limits = []
    for name in ("macs", "parameters"):
        if name in problem.limits:
            space = problem.priced[deployment].space
            tables: list[SlotTable] = SlotTable.counted(space, name)
            limits.append(Limited(tables, problem.limits[name]))
    return limits
