"""Accuracy predictors on real tables: Kendall's tau on all classes that were not trained on.

Training cells are drawn from the 4,929 classes of NAS-Bench-201; the rest is ranked. Coverage is
how often intervals held, pooled over seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks import macro, nb201
from benchmarks.predictor_peers import (
    PUBLISHED,
    catboost,
    one_hot_ridge,
    pairwise_gcn,
    random_forest,
)
from benchmarks.rows import Row, parser, report
from nas_service.errors import InvalidSpec
from nas_service.plugins import PREDICTORS, load
from nas_service.settings import Settings
from nas_service.space.base import FloatArray, IntArray
from predictors.inputs import LOW_FIDELITY, PROXY, Inputs, warm_started
from predictors.quality import coverage, kendall, top_k_regret

OURS = ("ensemble", "gaussian_process", "forest", "boosting", "network", "ridge")
LEVELS = (0.8, 0.9, 0.95)
Fit = Callable[[IntArray, IntArray, int], tuple[FloatArray, dict[str, float]]]
"""Training rows, rows to rank, and a seed, to scores and further figures."""


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("predictor", __doc__ or "")
    options.add_argument("--data", type=Path, help="folder of the tables; default NAS_BENCH_DATA")
    options.add_argument("--n", type=int, action="append", help="default: 20, 50, 100, 200, 500")
    options.add_argument("--seeds", type=int, default=20, help="of the default; others 5")
    options.add_argument("--without-peers", action="store_true")
    given = options.parse_args(arguments)
    folder = given.data or Settings().bench_data
    sizes = sorted(given.n or (20, 50, 100, 200, 500))
    try:
        known = nb201.cells(folder)
        rows = _cifar100(folder, known, sizes, given.seeds, peers=not given.without_peers)
        rows += _ninapro(known, given.seeds)
        rows += _macro(folder, given.seeds)
        rows += _ceilings(folder)
    except InvalidSpec as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    report(rows, given.out)
    return 0


def _ours(name: str, inputs: Inputs, accuracy: FloatArray) -> Fit:
    # intervals rest on refitting, which would take most of an hour for the slow members
    levels = LEVELS if name in ("ensemble", "gaussian_process") else ()

    def fit(train: IntArray, rest: IntArray, seed: int) -> tuple[FloatArray, dict[str, float]]:
        predictor = load(PREDICTORS, name)(seed=seed, names=inputs.names)
        predictor.fit(inputs.features[train], accuracy[train])
        prediction = predictor.predict(inputs.features[rest])
        found = {}
        for level in levels:
            if np.isfinite(prediction.interval(level)).all():
                found[f"coverage_{level:g}"] = coverage(prediction, accuracy[rest], level)
        return prediction.mean, found

    return fit


def _peer(rank: Callable[..., FloatArray], features: FloatArray, accuracy: FloatArray) -> Fit:
    def fit(train: IntArray, rest: IntArray, seed: int) -> tuple[FloatArray, dict[str, float]]:
        return rank(features[train], accuracy[train], features[rest], seed), {}

    return fit


def _measured(
    case: str,
    methods: Mapping[str, Fit],
    actual: FloatArray,
    sizes: list[int],
    seeds: dict[str, int],
) -> list[Row]:
    rows = []
    for method, fit in methods.items():
        for n in sizes:
            found: dict[str, list[float]] = {}
            for seed in range(seeds.get(method, 5)):
                order = np.random.default_rng([seed, n]).permutation(len(actual))
                train, rest = order[:n], order[n:]
                scores, more = fit(train, rest, seed)
                more["kendall"] = kendall(scores, actual[rest])
                more["top_10_regret"] = top_k_regret(scores, actual[rest], 10)
                for name, value in more.items():
                    found.setdefault(name, []).append(value)
            for name, values in sorted(found.items()):
                std = float(np.std(values, ddof=1)) if len(values) > 1 else None
                mean = float(np.mean(values))
                rows.append(Row("predictor", case, method, name, n, mean, std, len(values)))
        print(f"{case}: {method} done", file=sys.stderr)
    return rows


def _cifar100(
    folder: Path, known: nb201.Cells, sizes: list[int], seeds: int, *, peers: bool
) -> list[Row]:
    space = nb201.space()
    accuracy = known.accuracy("cifar100")
    plain = Inputs(space.feature_names, space.features(known.genotypes))
    counts = {"guided": seeds}
    methods: dict[str, Fit] = {
        ("guided" if name == "ensemble" else name): _ours(name, plain, accuracy) for name in OURS
    }
    one_hot = np.eye(5)[known.genotypes].reshape(len(accuracy), -1)
    if peers:
        methods["one-hot ridge"] = _peer(one_hot_ridge, one_hot, accuracy)
        methods["random forest, one-hot"] = _peer(random_forest, one_hot, accuracy)
        methods["random forest, our features"] = _peer(random_forest, plain.features, accuracy)
        methods["CatBoost, one-hot"] = _peer(catboost, one_hot, accuracy)
        methods["CatBoost, our features"] = _peer(catboost, plain.features, accuracy)
        cells = known.genotypes

        def gcn(train: IntArray, rest: IntArray, seed: int) -> tuple[FloatArray, dict[str, float]]:
            return pairwise_gcn(cells[train], accuracy[train], cells[rest], seed), {}

        methods["pairwise GCN"] = gcn
        counts["pairwise GCN"] = 2
    case = "nasbench201, cifar100"
    rows = _measured(case, methods, accuracy, sizes, counts)
    few = [n for n in sizes if n <= 200]
    low = {name: known.columns[name] for name in nb201.LOW_FIDELITY}
    cheap = plain.with_extra(LOW_FIDELITY, low)
    case = "nasbench201, cifar100, with accuracies after 12 epochs"
    rows += _measured(case, {"guided": _ours("ensemble", cheap, accuracy)}, accuracy, few, counts)
    rows += _zero_cost(folder, known, plain, accuracy, few, counts)
    other = known.accuracy("cifar10")
    order = np.random.default_rng(7).permutation(len(other))[:200]
    source = Inputs(plain.names, plain.features[order])
    warm = warm_started(load(PREDICTORS, "ensemble"), source, other[order], plain)
    case = "nasbench201, cifar100, warm start from 200 cells on cifar10"
    rows += _measured(case, {"guided": _ours("ensemble", warm, accuracy)}, accuracy, few, counts)
    for method, taus in PUBLISHED.items():
        case = "nasbench201, cifar10, protocol of its authors"
        rows += [Row("predictor", case, method, "kendall", n, tau) for n, tau in taus.items()]
    return rows


def _zero_cost(
    folder: Path,
    known: nb201.Cells,
    plain: Inputs,
    accuracy: FloatArray,
    sizes: list[int],
    counts: dict[str, int],
) -> list[Row]:
    if not (folder / "nasbench201_zero_cost.parquet").is_file():
        return []
    table = nb201.read(folder, "nasbench201_zero_cost.parquet")
    mine = np.flatnonzero(table["dataset"].astype(str) == "cifar10")
    place = np.full(5**6, -1, dtype=np.int64)
    place[table["arch_index"][mine]] = mine
    where = place[known.index]
    there = where >= 0
    proxies = {
        name: values[where[there]].astype(np.float64)
        for name, values in table.items()
        if values.dtype.kind == "f"
    }
    inputs = Inputs(plain.names, plain.features[there])
    case = f"nasbench201, cifar100, {there.sum()} classes that have zero-cost proxies"
    methods = {
        "guided": _ours("ensemble", inputs.with_extra(PROXY, proxies), accuracy[there]),
        "guided, without them": _ours("ensemble", inputs, accuracy[there]),
    }
    return _measured(case, methods, accuracy[there], sizes, counts)


def _ninapro(known: nb201.Cells, seeds: int) -> list[Row]:
    space = nb201.space()
    actual = known.columns["ninapro_test_acc_200ep"] / 100.0
    there = np.isfinite(actual)
    inputs = Inputs(space.feature_names, space.features(known.genotypes[there]))
    one_hot = np.eye(5)[known.genotypes[there]].reshape(int(there.sum()), -1)
    methods = {
        "guided": _ours("ensemble", inputs, actual[there]),
        "one-hot ridge": _peer(one_hot_ridge, one_hot, actual[there]),
        "random forest, one-hot": _peer(random_forest, one_hot, actual[there]),
        "CatBoost, one-hot": _peer(catboost, one_hot, actual[there]),
        "CatBoost, our features": _peer(catboost, inputs.features, actual[there]),
    }
    return _measured("nasbench201, ninapro", methods, actual[there], [100], {"guided": seeds})


def _macro(folder: Path, seeds: int) -> list[Row]:
    """NAS-Bench-Macro, one network a class of equal ones; features: stages, and sizes."""
    known = macro.networks(folder)
    layers, actual = known.layers, known.accuracy
    columns: dict[str, FloatArray] = {
        "summary.log_params": np.log(known.parameters),
        "summary.log_macs": np.log(known.macs),
    }
    for number, (start, end) in enumerate(macro.STAGES, start=1):
        for code, name in enumerate(macro.KINDS[1:], start=1):
            counted = (layers[:, start:end] == code).sum(axis=1)
            columns[f"summary.stage{number}_{name}"] = counted * 1.0
    for layer in range(layers.shape[1]):
        for code, name in enumerate(macro.KINDS[1:], start=1):
            columns[f"layers.{layer}_{name}"] = (layers[:, layer] == code) * 1.0
    inputs = Inputs(tuple(columns), np.column_stack(list(columns.values())))
    one_hot = np.eye(3)[layers].reshape(len(layers), -1)
    methods = {
        "guided": _ours("ensemble", inputs, actual),
        "one-hot ridge": _peer(one_hot_ridge, one_hot, actual),
        "random forest, one-hot": _peer(random_forest, one_hot, actual),
        "CatBoost, one-hot": _peer(catboost, one_hot, actual),
        "CatBoost, our features": _peer(catboost, inputs.features, actual),
    }
    return _measured("NAS-Bench-Macro, cifar10", methods, actual, [100], {"guided": seeds})


def _ceilings(folder: Path) -> list[Row]:
    """How well the accuracy of one cell ranks those of cells that compute the same function."""
    table = nb201.read(folder, "nasbench201.parquet")
    group = table["canonical_rep_index"]
    rows = []
    for task, (column, _) in nb201.TASKS.items():
        accuracy = table[column].astype(np.float64)
        generator = np.random.default_rng(0)
        order = generator.permutation(np.flatnonzero((group >= 0) & np.isfinite(accuracy)))
        by_group = order[np.argsort(group[order], kind="stable")]
        start = np.flatnonzero(np.diff(group[by_group], prepend=-2))
        size = np.diff(np.append(start, len(by_group)))
        twins = start[size > 1]
        tau = kendall(accuracy[by_group[twins]], accuracy[by_group[twins + 1]])
        case = f"nasbench201, {task}"
        rows.append(Row("predictor", case, "noise ceiling: twins", "kendall", len(twins), tau))
    return rows
