"""How many evaluations does a space of two levels save? On NAS-Bench-Macro.

Quality is the area that the evaluated networks dominate in the plane (ln cost, accuracy) against
the point (largest cost, accuracy of the weakest tenth), over that of the true front. The flat space
is searched as it is; of the one with stages, networks are preferred whose layers are of one kind a
stage. Sampler and predictor are the same (the guided one, Gaussian process).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import macro, nb201
from benchmarks.rows import Row, parser, report
from nas_service.search.candidate_pool import Pool
from nas_service.search.guided import propose
from nas_service.search.sampling_problem import CostedSpace
from nas_service.settings import Settings
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.stages import Stage
from predictors.gaussian_process import GaussianProcessPredictor

QUALITIES = (0.95, 0.97, 0.98, 0.99)
COSTS = ("macs", "parameters")


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("hierarchy", __doc__ or "")
    options.add_argument("--data", type=Path, help="folder of the tables; default NAS_BENCH_DATA")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--queries", type=int, default=240, help="after which a run gives up")
    given = options.parse_args(arguments)
    known = macro.networks(given.data or Settings().bench_data)
    rows: list[Row] = []
    for cost in COSTS:
        needed = {
            name: np.array(
                [
                    _needed(known, cost, name, given.queries, given.seed + one)
                    for one in range(given.seeds)
                ]
            )
            for name in METHODS
        }
        rows += _rows(cost, needed, given.seeds)
    report(rows, given.out)
    return 0


def _rows(cost: str, needed: dict[str, FloatArray], seeds: int) -> list[Row]:
    found = []
    for number, quality in enumerate(QUALITIES):
        for name, counts in needed.items():
            one = counts[:, number]
            metric = f"evaluations until {quality}"
            found.append(
                Row("hierarchy", cost, name, metric, seeds, float(one.mean()), float(one.std()))
            )
        share = needed["hierarchical"][:, number].mean() / needed["flat"][:, number].mean()
        metric = f"share of flat's until {quality}"
        found.append(Row("hierarchy", cost, "hierarchical", metric, seeds, float(share)))
    return found


def _flat(known: macro.Networks) -> tuple[macro.FlatSpace, Sequence[Stage]]:
    return macro.FlatSpace(known), ()


def _features_alone(known: macro.Networks) -> tuple[macro.FlatSpace, Sequence[Stage]]:
    return macro.StagedSpace(known), ()


def _hierarchical(known: macro.Networks) -> tuple[macro.FlatSpace, Sequence[Stage]]:
    space = macro.StagedSpace(known)
    return space, space.stages


METHODS = {
    "flat": _flat,
    "flat, features of stages": _features_alone,
    "hierarchical": _hierarchical,
}


def _needed(known: macro.Networks, cost: str, method: str, n: int, seed: int) -> list[int]:
    """Evaluations until each quality; `n` where it was not reached."""
    space, stages = METHODS[method](known)
    costs: FloatArray = getattr(known, cost)
    order = _order(space, stages, known, costs, n, seed)
    floor = float(np.quantile(known.accuracy, 0.1))
    log_cost = np.log(costs)
    whole = nb201.dominated(log_cost, known.accuracy, log_cost.max(), floor)
    shares = np.array(
        [
            nb201.dominated(
                log_cost[order[:count]], known.accuracy[order[:count]], log_cost.max(), floor
            )
            / whole
            for count in range(1, len(order) + 1)
        ]
    )
    return [
        int(np.argmax(shares >= quality)) + 1 if shares[-1] >= quality else n
        for quality in QUALITIES
    ]


def _order(
    space: macro.FlatSpace,
    stages: Sequence[Stage],
    known: macro.Networks,
    costs: FloatArray,
    n: int,
    seed: int,
) -> IntArray:
    """Networks in the order in which they are evaluated."""
    task = CostedSpace(space, {"cost": lambda rows: costs[known.of(space.layers(rows))]})
    pool = Pool(task, stages)
    predictor = GaussianProcessPredictor(names=space.feature_names)
    rows = np.empty((0, len(space.decisions)), dtype=np.int64)
    while len(rows) < n:
        order = known.of(space.layers(rows))
        size = min(max(1, min(8, len(rows) // 25)), n - len(rows))
        proposed = propose(
            task,
            pool,
            lambda: predictor,
            rows,
            known.accuracy[order],
            size,
            seed=(seed, len(rows)),
        )
        if not len(proposed):
            break
        rows = np.concatenate([rows, proposed])
    return known.of(space.layers(rows))
