"""The Python of the guide to predictors and sampler runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from nas_service.networks.build import build

GUIDE = Path(__file__).parents[2] / "docs" / "predictors-and-sampler.md"


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
