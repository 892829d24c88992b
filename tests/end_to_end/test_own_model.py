"""A network of one's own and the data it was taught on: a space, a search, certified members."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from nas_service.client import ApiError
from tests.nas_service.networks.own_networks import Residual, program_of
from tests.service import Service
from tests.toy_search import toy_search

SHAPE = (1, 1, 16, 16)


class Digits(nn.Module):
    """A stem, two residual blocks, a head: for pictures of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.first = Residual(32, 64)
        self.second = Residual(32, 64)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.second(self.first(self.stem(x))).mean((2, 3)))
        return y


def _taught() -> Digits:
    """The network after a little training on digits, enlarged as the service enlarges them."""
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16.0
    x = nn.functional.interpolate(x, size=16, mode="bilinear", align_corners=False)
    x = (x - x.mean()) / x.std()
    y = torch.tensor(labels)
    network = Digits().train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _ in range(4):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
    return network.eval()


def _cli(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_service.cli", *arguments, "--server", service.url]
    return subprocess.run(  # our interpreter
        command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, check=False
    )


@pytest.mark.slow
def test_a_model_of_ones_own_is_searched_and_its_members_are_certified(tmp_path: Path) -> None:
    model = tmp_path / "digits.pt2"
    torch.export.save(program_of(_taught(), SHAPE), model)
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        added = nas.add_dataset("digits", builtin="digits")
        nas.wait(added["job"]["id"], timeout_s=120)
        nas.add_device("here", this_machine=True)
        refused = _cli(service, "search", "--dataset", "digits", "--model", str(tmp_path / "none"))
        assert refused.returncode != 0
        assert "no file" in refused.stderr
        options = ["--dataset", "digits", "--device", "here", "--model", str(model)]
        options += ["--epochs", "1", "--finetune-epochs", "2", "--queries", "8", "--winners", "1"]
        options += ["--initial", "12", "--profile-budget-s", "10", "--max-latency-ms", "5"]
        options += ["--set", "n_holdout=4", "--set", "n_probes=2", "--set", "predictor=ridge"]
        done = _cli(service, "search", *options)
        assert done.returncode == 0, done.stderr
        assert "layers are elastic; decisions: " in done.stdout
        (search,) = nas.get("/v1/searches")["items"]
        name = search["spec"]["space"]
        assert name.startswith("elastic-")
        _rows(nas.winners(search["id"]))
        _told(nas.get(f"/v1/search-spaces/{name}"))
        assert nas.get("/v1/search-spaces")[-1] == name
        _same_space_again(nas, model, name)
        _too_tight(nas, name)
        _refusals(service, tmp_path)
    finally:
        service.stop()


def _rows(winners: list[dict[str, Any]]) -> None:
    (winner,) = winners
    rows = {one["precision"]: one for one in winner["results"]}
    assert rows["fp32"]["published"], rows
    assert rows["fp32"]["certificate"]["verdict"] == "certified"
    assert rows["fp32"]["measured_latency_ms"] <= 5.0
    assert rows["fp32"]["measured_accuracy"] > 0.8


def _told(space: dict[str, Any]) -> None:
    """Every layer by its name in the user's own network, elastic or with the reason."""
    layers = {one["layer"]: one for one in space["own_model"]["layers"]}
    assert layers["first_expand"]["decisions"] == [
        "width.stem_0",
        "width.first_expand",
        "depth.first",
    ]
    assert {one["name"] for one in space["decisions"]} >= {"depth.first", "depth.second"}


def _same_space_again(nas: Any, model: Path, name: str) -> None:
    """The same model for the same data is the same space; what is there stays."""
    again = nas.post(
        "/v1/search-spaces", {"dataset": "digits", "model": nas.upload_model(model)["id"]}
    )
    nas.wait(again["job"]["id"], timeout_s=60)
    assert again["id"] == name


def _too_tight(nas: Any, name: str) -> None:
    """A limit below the smallest member: the search says so before anything is trained."""
    asked = toy_search(dataset="digits", space=name, max_latency_ms=1e-4)
    search = nas.submit_search(**asked)["id"]
    with pytest.raises(ApiError, match=r"infeasible: the fastest candidate takes .* ms"):
        nas.wait(search, timeout_s=120)


def _refusals(service: Service, folder: Path) -> None:
    """One line that says what is wrong, and no space of it."""
    nas = service.client
    before = nas.get("/v1/search-spaces")
    torch.manual_seed(0)
    wrong = folder / "wrong.pt2"
    torch.export.save(program_of(nn.Sequential(nn.Conv2d(3, 16, 3), nn.Flatten())), wrong)
    maps, wide = folder / "maps.pt2", folder / "wide.pt2"
    torch.export.save(program_of(nn.Conv2d(1, 16, 3), SHAPE), maps)
    network = nn.Sequential(nn.Conv2d(1, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    torch.export.save(program_of(network, (1, 1, 16, 24)), wide)
    (folder / "broken.pt2").write_bytes(b"PK\x03\x04 and no more")
    (folder / "graph.onnx").write_bytes(b"\x08\x0a")
    np.save(folder / "weights.npy", np.zeros(3))
    cases = [
        (wrong, "the model takes 3 channels, the data set's images have 1"),
        (maps, "the model answers (1, 16, 14, 14); numbers for each sample"),
        (wide, "the model takes (1, 1, 16, 24), the data set has samples of"),
        (folder / "broken.pt2", "the model is not taken"),
        (folder / "graph.onnx", "its layers are no torch modules"),
        (folder / "weights.npy", "ending '.npy' is none of"),
    ]
    for file, said in cases:
        refused = _cli(service, "search", "--dataset", "digits", "--model", str(file))
        assert refused.returncode == 1, file
        assert said in refused.stderr, refused.stderr
        assert len(refused.stderr.strip().splitlines()[-1]) < 300
    assert nas.get("/v1/search-spaces") == before
    with pytest.raises(ApiError, match="no search space 'elastic-nothing'"):
        nas.submit_search(**toy_search(dataset="digits", space="elastic-nothing"))
    with pytest.raises(ApiError, match="no model factorie"):
        nas.post("/v1/search-spaces", {"dataset": "digits", "factory": "nothing"})
