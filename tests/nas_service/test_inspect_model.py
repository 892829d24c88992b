"""`nas inspect`: what a file is, and which runtimes take it, before anything is sent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nas_service import cli
from nas_service.cli.inspect_model import looked_at
from nas_service.errors import InvalidData
from nas_service.networks.export import export, export_program
from nas_service.networks.reference import reference


def test_a_graph_and_a_program_are_each_for_their_own_runtimes(tmp_path: Path) -> None:
    network = reference("resnet8", channels=1, size=16, classes=4, seed=0).eval()
    export(network, tmp_path / "m.onnx", (1, 1, 16, 16))
    export_program(network, tmp_path / "m.pt2", (1, 1, 16, 16))
    graph, program = (
        {row["runtime"]: row for row in looked_at(tmp_path / name)["runtimes"]}
        for name in ("m.onnx", "m.pt2")
    )
    assert graph["onnxruntime"]["takes"] == "yes"
    assert "an exported torch program" in graph["executorch"]["why"]
    assert "an ONNX graph" in program["onnxruntime"]["why"]
    shown = {"runtime", "precisions", "takes", "why", "never"}
    assert not any(set(row) - shown for row in graph.values())


def test_a_file_that_is_not_there_or_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="there is no file"):
        looked_at(tmp_path / "no.onnx")
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidData, match="the model is not taken") as error:
        looked_at(tmp_path / "x.onnx")
    assert len(str(error.value).splitlines()) == 1


def test_what_is_wrong_with_a_program_is_said_and_not_that_it_is_no_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = nn.Sequential(nn.Linear(8, 4), nn.Dropout(0.5)).train()
    torch.export.save(torch.export.export(network, (torch.zeros(1, 8),)), tmp_path / "t.pt2")
    monkeypatch.setattr(sys, "argv", ["nas", "inspect", str(tmp_path / "t.pt2")])
    with pytest.raises(SystemExit):
        cli.main()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "it is in training mode" in line
