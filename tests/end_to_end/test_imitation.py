"""No labels: a model of one's own, samples of its inputs, and members that answer as it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas_service.client import ApiError
from tests.nas_service.networks.own_networks import SIGNAL, Signals, program_of, seeded
from tests.service import Service
from tests.toy_search import toy_search


def _recorded(path: Path, n: int = 400) -> Path:
    """Waves of many periods with noise, as a sensor gives them; nobody says what they are."""
    generator = np.random.default_rng(0)
    time = np.arange(SIGNAL[2]) / SIGNAL[2]
    periods = generator.uniform(0.5, 8.0, (n, SIGNAL[1], 1))
    phases = generator.uniform(0, 2 * np.pi, (n, SIGNAL[1], 1))
    x = np.sin(2 * np.pi * periods * time + phases) + generator.normal(0, 0.2, (n, *SIGNAL[1:]))
    np.savez(path, x=x.astype(np.float32))
    return path


def _detector(samples: Path) -> nn.Module:
    """A network with the statistics of such samples, as training leaves them."""
    network = seeded(Signals).train()
    norm = network.get_submodule("norm1")
    assert isinstance(norm, nn.BatchNorm1d)
    norm.reset_running_stats()
    norm.momentum = None  # the average of what is seen
    with torch.no_grad(), np.load(samples) as arrays:
        network(torch.from_numpy(arrays["x"]))
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear)
        head.weight.mul_(10.0)
    return network.eval()


def _cli(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_service.cli", *arguments, "--server", service.url]
    return subprocess.run(  # our interpreter
        command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, check=False
    )


@pytest.mark.slow
def test_a_model_is_imitated_without_any_label(tmp_path: Path) -> None:
    samples = _recorded(tmp_path / "samples.npz")
    torch.export.save(program_of(_detector(samples), SIGNAL), tmp_path / "detector.pt2")
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        nas.add_device("here", this_machine=True)
        unasked = _cli(service, "datasets", "add", "sensor", str(samples), "--task", "imitation")
        assert unasked.returncode == 1
        assert "say whose answers are learned (--teacher MODEL)" in unasked.stderr
        model = str(tmp_path / "detector.pt2")
        added = ["datasets", "add", "sensor", str(samples), "--task", "imitation"]
        done = _cli(service, *added, "--teacher", model)
        assert done.returncode == 0, done.stderr
        assert "read as: samples of 6 x 40, 4 outputs" in done.stdout
        made = nas.post(
            "/v1/search-spaces", {"dataset": "sensor", "model": nas.upload_model(Path(model))["id"]}
        )
        nas.wait(made["job"]["id"], timeout_s=120)
        asked = toy_search(dataset="sensor", space=made["id"], max_latency_ms=1.0)
        asked |= {"metric": "fidelity", "precisions": ["fp32"], "measuring_budget": 2}
        asked |= {"n_initial": 64, "n_holdout": 24}  # of 16 networks that there are
        asked["training"] = {"epochs": 12, "finetune_epochs": 8, "batch": 16}
        search = nas.submit_search(**asked)["id"]
        nas.wait(search, timeout_s=500)
        (winner,) = nas.winners(search)
        (row,) = winner["results"]
        assert row["published"], row
        assert row["certificate"]["verdict"] == "certified"
        assert row["measured_accuracy"] > 0.5  # of the answers' variance
        assert row["imitation"]["sqnr_db"] > 3.0
        assert row["imitation"]["same_decision"] > 0.9
        with pytest.raises(ApiError, match="imitation of a model has no usual space"):
            nas.submit_search(**{k: v for k, v in asked.items() if k != "space"})
    finally:
        service.stop()
