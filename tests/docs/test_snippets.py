"""The Python of the guide to predictors and sampler runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
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
    snippets = re.findall(r"```python\n(.*?)```", text, re.S)
    transfer, certify = (
        next(one for one in snippets if name in one) for name in ("Known(", "Certifier(")
    )
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


def test_the_guide_to_importers_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / "lookup-tables.md").read_text()
    (snippet,) = (one for one in re.findall(r"```python\n(.*?)```", text, re.S) if "ofa" in one)
    monkeypatch.chdir(tmp_path)
    key = "MBConv-input:8x8x16-output:8x8x16-expand:3-kernel:3-stride:1-idskip:1-se:0"
    Path("table.yaml").write_text(f"{key}: {{mean: 0.5}}\n")
    rows = ["device,layer,op,delta_ms", "pixel3,-1,base,7.0", "pixel3,0,k3_e1,0.5"]
    Path("fbnet.csv").write_text("\n".join(rows))
    Path("networks.csv").write_text("name,p50_ms\na,1.5\n")
    Path("log.txt").write_text("P50 Latency: 0.002 s\n")
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102
    assert len(names["table"].entries) == 1
    assert names["fbnet"].latency_ms(np.zeros((1, 1), dtype=np.int64)) == [7.5]
    assert names["networks"][0].p50_ms == 1.5
    assert names["timed"].p50_ms == 2.0
