"""The guided search as an Optuna sampler, for any study whose first objective is accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import RLock
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from nas_service.errors import InvalidSpec
from nas_service.search.candidate_pool import Pool
from nas_service.search.guided import Guidance, propose
from nas_service.search.sampling_problem import SamplingProblem
from nas_service.space.base import Decision, FloatArray, IntArray
from predictors.base import AccuracyPredictor


def distribution_of(decision: Decision) -> BaseDistribution:
    """The distribution under which a decision is suggested: its position among its values."""
    if decision.ordered:
        return IntDistribution(0, decision.size - 1)
    return CategoricalDistribution(list(range(decision.size)))


def distributions_of(decisions: Sequence[Decision]) -> dict[str, BaseDistribution]:
    """Those of every decision by name, for `study.ask`."""
    return {decision.name: distribution_of(decision) for decision in decisions}


class GuidedSampler(optuna.samplers.BaseSampler):
    """Proposes networks that are expected to add most to the front of accuracy against costs.

    It reads nothing but the study's trials: a study that is stopped between batches and loaded
    again goes on as if it had not been (what was left of a batch is proposed anew). Trials may run
    in parallel in threads of one process. Parameters are the decisions of the space by name, each
    either a position among the decision's values (`distributions_of`) or, for categorical ones, the
    value itself. The trial's first value is the accuracy, a fraction; failed trials are proposed
    again by nobody.
    Once no network within the limits is left in a space that is scored whole, `exhausted` is True
    and `study.optimize` stops.

    Args:
        problem: the space, its costs and limits (`CostedSpace`).
        make_predictor: makes an unfitted accuracy predictor.
        seed: makes proposals repeatable.
        batch: proposals made at once; None grows it with the evaluations (a 25th of them, 1 to 8).
        initial: architectures `(e, a)` and accuracies `(e,)` known before the study.
        fitted: which of `initial` the predictor is fitted on, beside the study's own; None for all.
        guidance: how evaluations are spent.
    """

    reads_trials = True

    def __init__(
        self,
        problem: SamplingProblem,
        make_predictor: Callable[[], AccuracyPredictor],
        *,
        seed: int = 0,
        batch: int | None = None,
        initial: tuple[IntArray, FloatArray] | None = None,
        fitted: IntArray | None = None,
        guidance: Guidance | None = None,
        pool: Pool | None = None,
    ) -> None:
        self._problem = problem
        self._pool = pool or Pool(problem)
        predictor = make_predictor()
        self._make = lambda: predictor  # kept: it remembers what refitting can use again
        self._seed = seed
        self._batch = batch
        self._guidance = guidance
        width = self._pool.width
        self._initial = initial or (np.empty((0, width), dtype=np.int64), np.empty(0))
        self._fitted = np.arange(len(self._initial[1])) if fitted is None else fitted
        self._queue: list[IntArray] = []
        self._rows: dict[int, IntArray] = {}
        self._lock = RLock()
        self.exhausted = False
        self._positions = {d.name: i for i, d in enumerate(problem.space.decisions)}
        self._fallback = optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """None: a trial says only when it suggests a decision in what form it wants it."""
        del study, trial
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Take the next network for this trial; its decisions are handed out one by one."""
        del search_space
        with self._lock:
            if not self._queue:
                self._queue = list(self._next(study, trial))
            if self._queue:
                self._rows[trial.number] = self._queue.pop(0)
                return {}
        if self._pool.whole is None:  # nothing was found, which does not say that nothing is there
            return {}
        self.exhausted = True
        with suppress(RuntimeError):  # asked by hand, outside of `optimize`
            study.stop()
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The decision of that name; uniform for other parameters and in an exhausted space."""
        position = self._positions.get(param_name)
        row = self._rows.get(trial.number)
        if position is None or row is None:
            return self._fallback.sample_independent(study, trial, param_name, param_distribution)
        decision, index = self._problem.space.decisions[position], int(row[position])
        return index if _by_position(decision, param_distribution) else decision.values[index]

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Forget what the trial was given."""
        del study, state, values
        with self._lock:
            self._rows.pop(trial.number, None)

    def reseed_rng(self) -> None:
        """Nothing: proposals depend on the seed and on what was evaluated."""

    def _next(self, study: optuna.Study, asking: FrozenTrial) -> IntArray:
        trials = study.get_trials(deepcopy=False)
        architectures, accuracy = self._initial
        fitted = self._fitted
        rows: dict[TrialState, list[list[int]]] = {}
        told: list[float] = []
        for trial in trials:
            if trial.number == asking.number or trial.number in self._rows:
                continue
            row = self._row(trial)
            if row is not None:
                rows.setdefault(trial.state, []).append(row)
                if trial.state == TrialState.COMPLETE:
                    told.append(trial.values[0])
        if told:
            complete = self._canonical(rows[TrialState.COMPLETE])
            architectures = np.concatenate([architectures, self._problem.architectures(complete)])
            accuracy = np.concatenate([accuracy, np.array(told)])
            of_study = np.arange(len(self._initial[1]), len(accuracy))
            _, first = np.unique(self._pool.keys(architectures), return_index=True)
            keep = np.sort(first)
            fitted = np.flatnonzero(np.isin(keep, np.concatenate([fitted, of_study])))
            architectures, accuracy = architectures[keep], accuracy[keep]
        # a trial of this process may not have suggested all of its decisions yet
        handed_out = [[int(v) for v in row] for row in self._rows.values()]
        pending = self._canonical([*rows.get(TrialState.RUNNING, []), *handed_out])
        given_up = [*rows.get(TrialState.FAIL, []), *rows.get(TrialState.PRUNED, [])]
        return propose(
            self._problem,
            self._pool,
            self._make,
            architectures,
            accuracy,
            self._batch or max(1, min(8, len(architectures) // 25)),
            pending=pending,
            barred=self._canonical(given_up),
            fitted=fitted,
            seed=(self._seed, len(architectures), len(pending)),
            guidance=self._guidance,
        )

    def _canonical(self, rows: list[list[int]]) -> IntArray:
        width = len(self._problem.space.decisions)
        return self._problem.space.canonical(np.array(rows, dtype=np.int64).reshape(-1, width))

    def _row(self, trial: FrozenTrial) -> list[int] | None:
        """The genotype of a trial; None where it lacks decisions."""
        found = []
        for decision in self._problem.space.decisions:
            if decision.name not in trial.params:
                return None
            value = trial.params[decision.name]
            by_position = _by_position(decision, trial.distributions[decision.name])
            found.append(int(value) if by_position else decision.values.index(value))
        return found


def _by_position(decision: Decision, distribution: BaseDistribution) -> bool:
    """Whether a parameter is a position among the decision's values, not one of the values.

    Raises:
        InvalidSpec: it is neither.
    """
    if distribution == distribution_of(decision):
        return True
    if isinstance(distribution, CategoricalDistribution):
        if set(distribution.choices) <= set(decision.values):
            return False
        if set(distribution.choices) == set(range(decision.size)):
            return True
    elif isinstance(distribution, IntDistribution):
        inside = [distribution._contains(v) for v in decision.values if isinstance(v, int)]
        if len(inside) == decision.size and all(inside):
            return False
        if (distribution.low, distribution.high) == (0, decision.size - 1):
            return True
    raise InvalidSpec(
        f"{decision.name} takes {list(decision.values)} or a position among them, "
        f"not {distribution}",
        field=decision.name,
    )
