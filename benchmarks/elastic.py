"""What of networks of one's own is elastic, how well swaps foretell, and whether members hold.

`structure`: networks of torchvision and timm with random weights are exported, rebuilt and looked
into; members are cut out, exported to ONNX, and run beside their torch modules. A network is
elastic where it has a width, a depth, a swap or an input size to choose. torchvision and timm are
needed: `pip install --no-deps torchvision timm huggingface_hub safetensors`.

`swaps`: how much the answers of a trained network (`--model`, an exported program) change when one
decision alone is changed, summed up, against the change of 40 whole members.
"""

from __future__ import annotations

import copy
import io
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.elastic_networks import Named, networks
from benchmarks.images import images
from benchmarks.rows import Row, keep, parser, report
from nas_service.errors import NasError
from nas_service.learning.base import Data
from nas_service.networks.elastic.analysis import Elastic, make_elastic
from nas_service.networks.elastic.settling import settle
from nas_service.networks.elastic.shared import own_network
from nas_service.networks.export import export
from nas_service.space.base import ImageShape, IntArray, input_size
from nas_service.space.elastic.description import DEPTH, SIZE, SWAP, WIDTH
from nas_service.space.elastic.space import ElasticSpace, OwnModel
from nas_service.space.sampling import uniform
from nas_service.training.loop import recalibrate
from predictors.quality import kendall, spearman

PARTS = ("structure", "swaps")
_N_SAMPLES = 1000
_N_MEMBERS = 40
_FLOOR_SEEDS = 3
_N_SETTLED = 128


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("elastic", __doc__ or "")
    options.add_argument("--part", choices=PARTS, action="append", help="all unless given")
    options.add_argument("--networks", nargs="*", help="which of them")
    options.add_argument("--members", type=int, default=4, help="members of each, the ends beside")
    options.add_argument("--model", type=Path, help="a trained program, for swaps")
    options.add_argument("--data", type=Path, help="data set; default: CIFAR-10 of NAS_BENCH_DATA")
    given = options.parse_args(arguments)
    parts = given.part or PARTS
    rows: list[Row] = []
    if "structure" in parts:
        rows += _structures(given.networks, given.members, given.seed, given.out)
    if "swaps" in parts and given.model is not None:
        rows += _swaps(given.model, images(given.data, 5_000, 1_000), given.seed)
    elif "swaps" in parts:
        print("nas: swaps need --model", file=sys.stderr)
    report(rows, given.out)
    return 0


def _row(case: str, metric: str, n: int, value: float) -> Row:
    return Row("elastic", case, "ours", metric, n, value)


def _structures(names: list[str] | None, members: int, seed: int, out: Path | None) -> list[Row]:
    known, missing = networks()
    for why in missing:
        print(f"left out: {why}", file=sys.stderr)
    rows: list[Row] = []
    n_elastic = n_network = n_ran = n_members = 0
    for name, one in known.items():
        if names and name not in names:
            continue
        n_network += 1
        began = time.monotonic()
        try:
            rows_of, ran, tried = _structure(name, one, members, seed)
        except NasError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        n_elastic += 1
        n_ran, n_members = n_ran + ran, n_members + tried
        rows += [*rows_of, _row(name, "seconds", 1, time.monotonic() - began)]
        print(f"{name}: {ran} of {tried} members ran the same", file=sys.stderr)
        keep(rows, out)
    return [
        *rows,
        _row("all", "elastic networks", n_network, n_elastic),
        _row("all", "members that export and run the same", n_members, n_ran),
    ]


def _exported(network: nn.Module, shape: tuple[int, ...]) -> Any:
    """Of any batch where the network allows that."""
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    return torch.export.export(network, (torch.zeros(2, *shape),), dynamic_shapes=dynamic)


def _space(program: Any, made: Elastic, shape: tuple[int, ...]) -> ElasticSpace:
    stored = io.BytesIO()
    torch.export.save(program, stored)
    sample = ImageShape(shape[-1], shape[0], 10)
    return ElasticSpace(made.description, sample, OwnModel(stored.getvalue(), made.cuts()))


def _structure(name: str, one: Named, members: int, seed: int) -> tuple[list[Row], int, int]:
    torch.manual_seed(seed)
    network = one.make().eval()
    program = _exported(network, one.shape)
    made = make_elastic(program, name=f"elastic-{name}", model_sha256="")
    space = _space(program, made, one.shape)
    choices = [choice for choice in made.description.choices if len(choice.values) > 1]
    counts = {about: sum(c.about == about for c in choices) for about in (WIDTH, DEPTH, SWAP, SIZE)}
    elastic = sum(bool(layer.decisions) for layer in made.layers)
    own = own_network(space)
    x = torch.randn(2, *one.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        expected = network(x)
        gap = (own.subnet(space.largest()).eval()(x) - expected).abs().max()
        gap = gap / expected.abs().max().clamp_min(1e-6)
    drawn = [space.smallest(), space.largest()]
    drawn += list(uniform(space, members, np.random.default_rng(seed)))
    ran = sum(_runs(space, row, one.shape) for row in drawn)
    rows = [_row(name, f"decisions of {about}", 1, counts[about]) for about in counts]
    rows += [
        _row(name, "layers elastic, share", len(made.layers), elastic / max(1, len(made.layers))),
        _row(name, "largest member against the original, relative", 2, float(gap)),
    ]
    return rows, ran, len(drawn)


def _runs(space: ElasticSpace, row: IntArray, shape: tuple[int, ...]) -> bool:
    """Whether a member's ONNX file answers as its module."""
    member = own_network(space).subnet(row).eval()
    size = input_size(space, row)
    sides = [size] * (len(shape) - 1) if len(shape) == 3 else [size]
    x = torch.randn(1, shape[0], *sides, generator=torch.Generator().manual_seed(1))
    path = Path("var/bench/member.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    export(copy.deepcopy(member), path, tuple(x.shape))
    (found,) = ort.InferenceSession(path).run(None, {"input": x.numpy()})
    with torch.no_grad():
        expected = member(x).numpy()
    return bool(np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max()))


def _swaps(model: Path, data: Data, seed: int) -> list[Row]:
    """Sums of what single changes do against what whole members do, by Kendall's tau."""
    program = torch.export.load(model)
    made = make_elastic(program, name="elastic-swaps", model_sha256="")
    (example,), _ = program.example_inputs
    space = _space(program, made, tuple(example.shape[1:]))
    own = own_network(space)
    inputs = data.validation.inputs[:_N_SAMPLES]
    first = data.prepared(data.train.inputs[:_N_SETTLED], int(example.shape[-1]))
    settle(own.network.eval(), list(own.swaps.values()), first)

    def answers(row: IntArray) -> Tensor:
        member, size = own.subnet(row), input_size(space, row)
        recalibrate(member, data, size)
        with torch.no_grad():
            return functional.log_softmax(member(data.prepared(inputs, size)), 1)

    with torch.no_grad():
        plain = own.network.eval()(data.prepared(inputs, int(example.shape[-1])))
        expected = functional.log_softmax(plain, 1)

    def changed(row: IntArray) -> float:
        found = answers(row)
        return float(functional.kl_div(found, expected, reduction="batchmean", log_target=True))

    began = time.monotonic()
    floor = changed(space.largest())
    scores = []
    for place, decision in enumerate(space.decisions):
        own_scores = np.zeros(decision.size)
        for value in range(decision.size - 1):
            row = space.largest()
            row[place] = value
            own_scores[value] = max(0.0, changed(space.canonical(row[None])[0]) - floor)
        scores.append(own_scores)
    took_s = time.monotonic() - began
    n_scored = sum(len(one) - 1 for one in scores)
    rows = _members(space, seed)
    truth = np.array([changed(row) - floor for row in rows])
    moot = space.canonical(rows)
    summed = np.sum([one[moot[:, place]] for place, one in enumerate(scores)], axis=0)
    mild = np.argsort(truth)[: len(rows) // 2]
    name = model.stem
    return [
        _row(name, "KL of the unchanged network, recalibrated", _N_SAMPLES, floor),
        _row(name, "seconds a score", n_scored, took_s / n_scored),
        _row(name, "Kendall, sum of single changes", len(rows), kendall(summed, truth)),
        _row(name, "Spearman", len(rows), spearman(summed, truth)),
        _row(name, "Kendall among the milder half", len(mild), kendall(summed[mild], truth[mild])),
    ]


def _members(space: ElasticSpace, seed: int) -> IntArray:
    """Members from hardly changed to changed everywhere: each decision with a share of its own."""
    generator = np.random.default_rng([seed, 5])
    rows = np.repeat(space.largest()[None], _N_MEMBERS, axis=0)
    for row, share in zip(rows, np.linspace(0.05, 0.9, _N_MEMBERS), strict=True):
        for place, decision in enumerate(space.decisions):
            if generator.random() < share:
                row[place] = generator.integers(decision.size)
    return space.canonical(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
