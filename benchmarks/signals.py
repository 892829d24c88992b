"""A whole search on signals, beside networks that nobody searched for, on the same parts.

The search runs in a service of its own on this machine, with defaults but for the profile's budget.
Beside it stand a plain 1-D CNN (three convolutions, the mean, a linear layer) of no more MACs,
tuned by validation over kernel, learning rate and epochs, and ridge on the features of random
convolutions (ROCKET: Dempster et al., 2020). Test accuracies are of the stored test part.

Data are `.npz` files as `nas datasets add` takes them, or sets that ship inside a wheel of aeon:
pip download --no-deps aeon==1.4.0; nas bench signals --aeon aeon-1.4.0-py3-none-any.whl
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.rows import Row, keep, parser, report
from benchmarks.service import service
from nas_service.client import Client
from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data
from nas_service.learning.registry import learning_task
from nas_service.training.loop import TrainRecipe, train

TASK = "signal_classification"
SETS = ("BasicMotions", "JapaneseVowels", "ItalyPowerDemand")
PROFILE_S = 20.0
N_RANDOM = 2000


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("signals", __doc__ or "")
    options.add_argument("--aeon", type=Path, help="a wheel of aeon, which ships data sets")
    options.add_argument("--data", type=Path, action="append", default=[], help=".npz files")
    options.add_argument("--sets", nargs="*", default=list(SETS), help="which of aeon's")
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sources = [*given.data]
        if given.aeon is not None:
            sources += [save(given.aeon, name, folder / f"{name}.npz") for name in given.sets]
        if not sources:
            print("nas: give --aeon WHEEL or --data FILE", file=sys.stderr)
            return 1
        rows: list[Row] = []
        with service(folder / "var") as nas:
            nas.add_device("this-machine", this_machine=True)
            for source in sources:
                rows += _compared(nas, source, folder, given.seed)
                keep(rows, given.out)
    report(rows, given.out)
    return 0


def _row(case: str, method: str, metric: str, n: int, value: float) -> Row:
    return Row("signals", case, method, metric, n, value)


def _compared(nas: Client, source: Path, folder: Path, seed: int) -> list[Row]:
    task = learning_task(TASK)
    name = source.stem
    nas.wait(nas.upload_dataset(name, source, task=TASK)["job"]["id"], timeout_s=300)
    took_s, published, best = whole_search(nas, name, seed)
    # the same bytes give the same parts
    found = task.ingest(source, {}, tell=lambda *_: None, within=[], threads=1)
    found.save(folder / "stored.npz")
    data = task.load(folder / "stored.npz", max_train=None, device=torch.device("cpu"))
    n_test = len(data.test)
    cnn, cnn_macs = tuned_cnn(data, int(best["macs"]), seed)
    n = len(published)
    return [
        _row(name, "search", "whole search, s", 1, took_s),
        _row(name, "search", "published files", n, n),
        _row(name, "search", "limit holds", n, float(np.mean([_holds(row) for row in published]))),
        _row(name, "search", "predicted against measured, mean off", n, _off(published)),
        _row(name, "search", "test accuracy, best file", n_test, best["measured_accuracy"]),
        _row(name, "search", "MACs of it", 1, best["macs"]),
        _row(name, "search", "latency of it, ms", 1, best["measured_latency_ms"]),
        _row(name, "1-D CNN, tuned", "test accuracy", n_test, cnn),
        _row(name, "1-D CNN, tuned", "MACs", 1, cnn_macs),
        _row(
            name,
            f"ridge, {N_RANDOM} random convolutions",
            "test accuracy",
            n_test,
            rocket(data, seed),
        ),
    ]


def whole_search(
    nas: Client, dataset: str, seed: int
) -> tuple[float, list[dict[str, Any]], dict[str, Any]]:
    """Seconds that a search with defaults took, its published results, and the best of them.

    Raises:
        InvalidSpec: it published none.
    """
    began = time.monotonic()
    search = nas.submit_search(
        dataset=dataset, device="this-machine", profile_budget_s=PROFILE_S, seed=seed
    )["id"]
    nas.wait(search, timeout_s=1800)
    took_s = time.monotonic() - began
    published = [
        row for winner in nas.winners(search) for row in winner["results"] if row["published"]
    ]
    if not published:
        raise InvalidSpec(f"{dataset}: the search published no file")
    best = max(published, key=lambda row: (row["measured_accuracy"], -row["measured_latency_ms"]))
    return took_s, published, best


def _holds(row: dict[str, Any]) -> bool:
    certificate = row["certificate"]
    return bool(certificate["measured"] <= certificate["limit"])


def _off(rows: list[dict[str, Any]]) -> float:
    return float(
        np.mean([abs(row["predicted_latency_ms"] / row["measured_latency_ms"] - 1) for row in rows])
    )


@dataclass(frozen=True)
class Plain:
    """A plain network: widths of three convolutions, their kernel, MACs."""

    channels: int
    kernel: int

    def build(self, data: Data) -> nn.Module:
        inputs, n_outputs = data.train.inputs.shape[1], int(data.train.targets.max()) + 1
        layers: list[nn.Module] = []
        for outputs in (self.channels, 2 * self.channels, 2 * self.channels):
            layers += [
                nn.Conv1d(inputs, outputs, self.kernel, 1, self.kernel // 2, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
                nn.MaxPool1d(2, ceil_mode=True),
            ]
            inputs = outputs
        head = nn.Linear(inputs, n_outputs)
        return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), head)

    def macs(self, data: Data) -> int:
        inputs, steps = data.train.inputs.shape[1:]
        total = 0
        for outputs in (self.channels, 2 * self.channels, 2 * self.channels):
            total += inputs * outputs * self.kernel * steps
            inputs, steps = outputs, -(-steps // 2)
        return total + inputs * (int(data.train.targets.max()) + 1)


def tuned_cnn(data: Data, most_macs: int, seed: int) -> tuple[float, int]:
    """Test accuracy and MACs of the plain network that validates best within so many MACs."""
    size = data.train.inputs.shape[2]
    best: tuple[float, Plain, nn.Module] | None = None
    for kernel, rate, epochs in itertools.product((3, 5, 9), (0.02, 0.1), (30, 100)):
        fitting = [one for one in range(4, 129, 4) if Plain(one, kernel).macs(data) <= most_macs]
        plain = Plain(max(fitting, default=4), kernel)
        torch.manual_seed(seed)
        network = plain.build(data)
        recipe = TrainRecipe(epochs=epochs, batch=16, learning_rate=rate)
        train(network, data, size, recipe, seed=seed)
        found = _accuracy(network, data, data.validation.inputs, data.validation.targets)
        if best is None or found > best[0]:
            best = found, plain, network
    assert best is not None
    _, plain, network = best
    return _accuracy(network, data, data.test.inputs, data.test.targets), plain.macs(data)


def _accuracy(network: nn.Module, data: Data, inputs: Tensor, targets: Tensor) -> float:
    network.eval()
    with torch.no_grad():
        outputs = network(data.prepared(inputs, inputs.shape[2]))
    return float((outputs.argmax(1) == targets).float().mean())


def rocket(data: Data, seed: int) -> float:
    """Test accuracy of ridge on the features of random convolutions."""
    parts = (data.train, data.validation, data.test)
    steps = data.train.inputs.shape[2]
    features = [random_features(data.prepared(one.inputs, steps), seed) for one in parts]
    fitted = np.concatenate(features[:2])
    labels = np.concatenate([one.targets.numpy() for one in parts[:2]])
    mean, std = fitted.mean(0), fitted.std(0) + 1e-8
    model = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)).fit((fitted - mean) / std, labels)
    return float(model.score((features[2] - mean) / std, data.test.targets.numpy()))


def random_features(x: Tensor, seed: int) -> np.ndarray[Any, Any]:
    """Of each random convolution its largest value, and the share of positive ones: `(n, 2 k)`."""
    generator = np.random.default_rng(seed)
    _, channels, steps = x.shape
    found = []
    for _ in range(N_RANDOM):
        length = int(generator.choice([7, 9, 11]))
        most = max(0.0, np.log2((steps - 1) / (length - 1)))
        dilation = int(2 ** generator.uniform(0, most))
        picked = generator.choice(channels, min(channels, int(2 ** generator.uniform(0, 3))), False)
        weight = generator.normal(size=(1, len(picked), length))
        weight -= weight.mean(axis=2, keepdims=True)
        padding = dilation * (length - 1) // 2 if generator.random() < 0.5 else 0
        padding = max(padding, (dilation * (length - 1) + 1 - steps + 1) // 2)
        y = functional.conv1d(
            x[:, picked],
            torch.from_numpy(weight).float(),
            torch.tensor([generator.uniform(-1, 1)]).float(),
            padding=padding,
            dilation=dilation,
        )[:, 0]
        found += [y.amax(1), (y > 0).float().mean(1)]
    return torch.stack(found, dim=1).numpy()


def save(wheel: Path, name: str, out: Path) -> Path:
    """One of aeon's data sets as an `.npz`; shorter series end in zeros, gaps are zeros."""
    rows: list[list[list[float]]] = []
    labels: list[str] = []
    split: list[str] = []
    with zipfile.ZipFile(wheel) as archive:
        for part in ("train", "test"):
            file = f"aeon/datasets/data/{name}/{name}_{part.upper()}.ts"
            for series, label in _series(archive.read(file).decode()):
                rows.append(series)
                labels.append(label)
                split.append(part)
    steps = max(len(channel) for row in rows for channel in row)
    x = np.zeros((len(rows), len(rows[0]), steps), dtype=np.float32)
    for number, row in enumerate(rows):
        for channel, values in enumerate(row):
            x[number, channel, : len(values)] = np.nan_to_num(np.array(values))
    np.savez(out, x=x, y=np.array(labels), split=np.array(split))
    return out


def _series(text: str) -> Iterator[tuple[list[list[float]], str]]:
    """The series of a `.ts` file: channels between colons, the class at the end."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip().lower() == "@data":
            break
    for line in lines:
        if line.strip():
            *channels, label = line.strip().split(":")
            yield [[float(one) for one in channel.split(",")] for channel in channels], label


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
