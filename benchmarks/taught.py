"""What members of one's own network are worth at a share of its latency, beside plainer ways.

A trained program (`--model`) is made elastic and profiled here. At each share of the measured
latency of its file:

- `ours`: single changes are scored (KL of the answers), the best sum under the limit is solved for,
  its file is measured, and the limit is corrected and solved again, four times at most;
- `uniform width`: the same share of every width, the largest that measures below the limit;
- `channel pruning`: torch-pruning by global magnitude, to the largest share of the
  multiply-accumulates that measures below the limit.

All of them are taught alike, from the original's weights, by the original's answers; so is the
original itself, which is what is lost against. An epoch of a smaller network takes less time:
`--share .4:10` gives its networks ten. Accuracies are on the test images.
"""

from __future__ import annotations

import copy
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.images import images
from benchmarks.rows import Row, keep, parser, report
from lookup_tables.profile import LocalProfiler
from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import Target
from nas_service.compression.base import PassContext
from nas_service.compression.channels import ChannelsPass
from nas_service.errors import StepFailed
from nas_service.learning.base import Data
from nas_service.networks.elastic.analysis import make_elastic
from nas_service.networks.elastic.settling import settle
from nas_service.networks.elastic.shared import OwnNetwork, own_network
from nas_service.networks.export import export
from nas_service.search.cost import CostModel
from nas_service.search.exact import ExactChoice, Limited
from nas_service.space.base import FloatArray, ImageShape, IntArray, input_size
from nas_service.space.elastic.description import WIDTH
from nas_service.space.elastic.space import ElasticSpace, OwnModel
from nas_service.training.loop import TrainRecipe, recalibrate, score, train
from nas_service.worker.tasks.profile_space import profile_space
from nas_service.worker.tasks.profile_timings import measure_files

_N_SCORED = 1000
_N_SETTLED = 128
_MOST_SOLVES = 4
_NEAR = 0.95
_WIDTHS = tuple(np.arange(0.25, 1.0, 0.0625))
_MACS = (0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("taught", __doc__ or "")
    options.add_argument("--model", type=Path, action="append", required=True)
    options.add_argument("--share", type=_share, action="append", help="S or S:EPOCHS; .6 and .4")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--epochs", type=int, default=4)
    options.add_argument("--learning-rate", type=float, default=0.05)
    options.add_argument("--max-train-images", type=int, default=20_000)
    options.add_argument("--budget-s", type=float, default=40.0, help="to profile each model")
    options.add_argument("--data", type=Path, help="data set; default: CIFAR-10 of NAS_BENCH_DATA")
    given = options.parse_args(arguments)
    data = images(given.data, given.max_train_images)
    recipe = TrainRecipe(
        epochs=given.epochs,
        learning_rate=given.learning_rate,
        batch=64,
        flip=True,
        distillation=0.9,
        label_smoothing=0.0,
    )
    rows: list[Row] = []
    for model in given.model:
        bench = _Bench.of(model, data, given.budget_s, given.seed)
        shares = given.share or ((0.6, None), (0.4, None))
        rows += _compared(bench, recipe, shares, given.seeds)
        keep(rows, given.out)
    report(rows, given.out)
    return 0


@dataclass(frozen=True)
class _Taken:
    """A network at a limit: its module, the side of its input, and what its file measures."""

    network: nn.Module
    size: int
    latency_ms: float
    solves: int = 1


@dataclass(frozen=True)
class _Bench:
    """A model with its space, and what measures files on this machine."""

    name: str
    data: Data
    space: ElasticSpace
    own: OwnNetwork
    original: nn.Module
    costs: CostModel
    measure: Callable[[nn.Module, int], float]

    @staticmethod
    def of(model: Path, data: Data, budget_s: float, seed: int) -> _Bench:
        """Made elastic, begun and profiled."""
        program = torch.export.load(model)
        made = make_elastic(program, name=f"elastic-{model.stem}", model_sha256="")
        (example,), _ = program.example_inputs
        stored = io.BytesIO()
        torch.export.save(program, stored)
        sample = ImageShape(int(example.shape[-1]), int(example.shape[1]), 10)
        space = ElasticSpace(made.description, sample, OwnModel(stored.getvalue(), made.cuts()))
        own = own_network(space)
        first = data.prepared(data.train.inputs[:_N_SETTLED], sample.size)
        settle(own.network.eval(), list(own.swaps.values()), first)
        original = OwnNetwork(space, pairs=False).network.eval()
        version = runtime_versions()["onnxruntime"]
        target = Target("this-machine", "onnxruntime", version, "fp32")
        profiler = LocalProfiler()

        def measure(network: nn.Module, size: int) -> float:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "network.onnx"
                export(network, path, space.sample.input_shape(size))
                found = measure_files(
                    profiler, {"networks": {0: {"fp32": path}}}, [target], 10.0, seed
                )
            return next(iter(found.values())).p50_ms

        with tempfile.TemporaryDirectory() as folder:
            ((table, _),) = profile_space(
                space, [target], budget_s, seed, Path(folder), _say, profiler=profiler
            )
        costs = CostModel(space, table, table.calibration)
        return _Bench(model.stem, data, space, own, original, costs, measure)

    def answers(self, inputs: Tensor) -> Tensor:
        """The original's."""
        with torch.no_grad():
            found: Tensor = self.original(self.data.prepared(inputs, self.space.sample.size))
        return found


def _share(text: str) -> tuple[float, int | None]:
    """A share of the latency, and the epochs that its networks are taught: `.4:10`."""
    share, _, epochs = text.partition(":")
    return float(share), int(epochs) if epochs else None


def _compared(
    bench: _Bench,
    recipe: TrainRecipe,
    shares: Sequence[tuple[float, int | None]],
    seeds: int,
) -> list[Row]:
    size = bench.space.sample.size
    whole = _Taken(bench.original, size, bench.measure(bench.original, size))
    untaught = score(bench.original, bench.data, bench.data.test, size)
    tuned, took_s = _taught(bench, whole, recipe, seeds)
    rows = [
        _row(bench.name, "original", "test accuracy", 1, untaught),
        _row(bench.name, "original", "latency, ms", 1, whole.latency_ms),
        _row(bench.name, "original, tuned as long", "test accuracy", seeds, tuned),
        _row(bench.name, "original, tuned as long", "seconds", seeds, took_s),
    ]
    began = time.monotonic()
    scores = _scores(bench)
    rows.append(_row(bench.name, "ours", "seconds to score", 1, time.monotonic() - began))
    for share, epochs in shares:
        of_members = replace(recipe, epochs=epochs or recipe.epochs)
        limit_ms = share * whole.latency_ms
        ways: dict[str, Callable[[], _Taken]] = {
            "ours": partial(_solved, bench, scores, limit_ms),
            "uniform width": partial(_uniform, bench, limit_ms),
            "channel pruning": partial(_pruned, bench, limit_ms),
        }
        for way, take in ways.items():
            case = f"{bench.name} at {share:g}"
            taken = take()
            if taken.latency_ms > limit_ms:
                least = taken.latency_ms / limit_ms
                rows.append(_row(case, way, "above the limit; least found, of it", 1, least))
                continue
            accuracy, took_s = _taught(bench, taken, of_members, seeds)
            rows += [
                _row(case, way, "test accuracy", seeds, accuracy),
                _row(case, way, "points lost", seeds, 100 * (np.mean(tuned) - accuracy)),
                _row(case, way, "of the limit", 1, taken.latency_ms / limit_ms),
                _row(case, way, "seconds of teaching", seeds, took_s),
            ]
            if way == "ours":
                rows.append(_row(case, way, "solves", 1, taken.solves))
            print(f"{case}, {way}: {np.mean(accuracy):.4f}", file=sys.stderr)
    return rows


def _row(case: str, method: str, metric: str, n: int, value: Any) -> Row:
    values = np.atleast_1d(value)
    std = float(values.std()) if len(values) > 1 else None
    return Row("taught", case, method, metric, n, float(values.mean()), std, seeds=len(values))


def _taught(
    bench: _Bench, taken: _Taken, recipe: TrainRecipe, seeds: int
) -> tuple[FloatArray, float]:
    """Test accuracies of copies that are taught under several seeds, and the seconds of one."""
    found = []
    began = time.monotonic()
    for seed in range(seeds):
        network = copy.deepcopy(taken.network)
        train(network, bench.data, taken.size, recipe, seed=seed, teacher=bench.answers)
        recalibrate(network, bench.data, taken.size)
        found.append(score(network, bench.data, bench.data.test, taken.size))
    return np.array(found), (time.monotonic() - began) / seeds


def _scores(bench: _Bench) -> list[FloatArray]:
    """What each value of each decision costs alone: KL of the answers above its floor, negated."""
    space, data = bench.space, bench.data
    inputs = data.validation.inputs[:_N_SCORED]
    expected = functional.log_softmax(bench.answers(inputs), 1)

    def changed(row: IntArray) -> float:
        member, size = bench.own.subnet(row), input_size(space, row)
        recalibrate(member, data, size)
        with torch.no_grad():
            found = functional.log_softmax(member(data.prepared(inputs, size)), 1)
        return float(functional.kl_div(found, expected, reduction="batchmean", log_target=True))

    floor = changed(space.largest())
    found = []
    for place, decision in enumerate(space.decisions):
        own = np.zeros(decision.size)
        for value in range(decision.size):
            row = space.largest()
            if value != row[place]:
                row[place] = value
                own[value] = -max(0.0, changed(space.canonical(row[None])[0]) - floor)
        found.append(own)
    return found


def _solved(bench: _Bench, scores: list[FloatArray], limit_ms: float) -> _Taken:
    """The best sum of scores whose file measures below the limit, as near to it as may be."""
    choice = ExactChoice(bench.space)
    tables, constant = bench.costs.tables()
    aimed, found = limit_ms, list[_Taken]()
    none = np.empty((0, len(scores)), dtype=np.int64)
    for solve in range(1, _MOST_SOLVES + 1):
        row = choice.best(scores, [Limited(tables, aimed - constant)], none)
        if row is None:
            break
        size = input_size(bench.space, row)
        network = bench.own.subnet(row)
        measured = bench.measure(network, size)
        found.append(_Taken(network, size, measured, solve))
        if _NEAR * limit_ms <= measured <= limit_ms:
            break
        predicted = float(bench.costs.latency_ms(row[None])[0])
        aimed = 0.99 * limit_ms * predicted / measured
    return _nearest(found, limit_ms)


def _nearest(found: Sequence[_Taken], limit_ms: float) -> _Taken:
    """The slowest that keeps the limit; where none does, the fastest."""
    below = [one for one in found if one.latency_ms <= limit_ms]
    if below:
        return max(below, key=lambda one: one.latency_ms)
    return min(found, key=lambda one: one.latency_ms)


def _uniform(bench: _Bench, limit_ms: float) -> _Taken:
    """Every width at the nearest value to one share, all else as it is."""
    row, before, found = bench.space.largest(), None, list[_Taken]()
    about = {one.name: one.about for one in bench.space.description.choices}
    size = bench.space.sample.size
    for share in sorted(_WIDTHS, reverse=True):
        for place, one in enumerate(bench.space.decisions):
            if about[one.name] == WIDTH:
                row[place] = int(np.abs(np.array(one.values, dtype=float) - share).argmin())
        if row.tolist() == before:
            continue
        before, network = row.tolist(), bench.own.subnet(row)
        found.append(_Taken(network, size, bench.measure(network, size)))
        if found[-1].latency_ms <= limit_ms:
            break
    return _nearest(found, limit_ms)


def _pruned(bench: _Bench, limit_ms: float) -> _Taken:
    """As many multiply-accumulates as keep the limit, by torch-pruning."""
    size, found = bench.space.sample.size, list[_Taken]()
    for macs in _MACS:
        options = {"macs": macs, "round_to": 8}
        context = PassContext(bench.data, size, 0, options=options)
        try:
            network = ChannelsPass().apply(bench.original, context)
        except StepFailed as error:
            print(f"channel pruning to {macs}: {error}", file=sys.stderr)
            continue
        found.append(_Taken(network, size, bench.measure(network, size)))
        if found[-1].latency_ms <= limit_ms:
            break
    return _nearest(found, limit_ms)


def _say(fraction: float, message: str) -> None:
    if int(100 * fraction) % 20 == 0:
        print(f"{100 * fraction:3.0f} % {message}", file=sys.stderr)
