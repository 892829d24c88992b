"""The Python of the guide to predictors and sampler runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from nas_service.networks.build import build

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "predictors-and-sampler.md"


def _train_and_test(row: np.ndarray) -> float:
    return float(0.5 + 0.05 * (np.asarray(row) == 3).mean() + 0.01 * np.sin(np.sum(row)))


def test_the_guide_to_predictors_and_sampler_runs() -> None:
    first, second, third, fourth = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names: dict[str, Any] = {"train_and_test": _train_and_test}
    exec(first, names)  # noqa: S102
    space, networks = names["space"], names["networks"]
    names["accuracy_after_12_epochs"] = names["accuracy"] - 0.1
    names["images"] = torch.randn((4, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    names["labels"] = torch.arange(4)
    names["torch_modules"] = [build(space, row, seed=0) for row in networks]
    exec(second, names)  # noqa: S102
    exec(third.replace("n_trials=50", "n_trials=12"), names)  # noqa: S102
    asked = {tuple(trial.params.values()) for trial in names["study"].trials}
    assert len(asked) == 12
    valid = names["everything"][space.valid(names["everything"])]
    names["benchmark_accuracy"] = 0.5 + 0.05 * (valid == 3).mean(axis=1)
    exec(fourth, names)  # noqa: S102
    assert len(np.unique(space.canonical(names["rows"]), axis=0)) == len(names["rows"]) == 24


def test_the_guide_to_transfer_and_certificates_runs() -> None:
    text = (DOCS / "lookup-tables.md").read_text()
    transfer, certify = re.findall(r"```python\n(.*?)```", text, re.S)[-2:]
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 5, (400, 3)).astype(float)
    cost = 1.0 + counts @ np.exp(generator.normal(0, 0.4, (3, 4)))
    names: dict[str, Any] = {"counts": counts, "latencies_elsewhere": cost[:, :3]}
    names["latency_here"] = cost[:10, 3]
    exec(transfer, names)  # noqa: S102
    assert np.median(np.abs(names["found"].latency / cost[:, 3] - 1.0)) < 0.02
    names["limit"] = float(np.median(cost[:, 3]))
    names["predicted_accuracy"] = 0.5 + 0.05 * np.log(cost[:, 3])
    names["measure"] = lambda row: float(cost[row, 3] * np.exp(generator.normal(0, 0.01)))
    exec(certify, names)  # noqa: S102
    best = names["certifier"].best()
    assert best is not None
    assert cost[best, 3] <= names["limit"]
