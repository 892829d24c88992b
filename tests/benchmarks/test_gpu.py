"""The GPU benchmark where there is none: the processor's rows, and what was left out by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.run import main


@pytest.mark.slow
def test_without_a_gpu_the_processors_rows_stand_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: benchmarks/gpu_check.sh measures it")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "gpu.json"
    assert main("gpu", ["--images", "200", "--networks", "1", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "GPUs: none answers here" in told.err
    assert "left out: training on cuda" in told.err
    assert "left out: tensorrt does not run here" in told.err
    rows = json.loads(out.read_text())
    (training,) = [one for one in rows if one["metric"] == "images_per_s"]
    assert (training["method"], training["n"]) == ("cpu", 200)
    assert training["value"] > 0
    compiled = [one for one in rows if "onnxruntime" in f"{one['case']} {one['method']}"]
    assert compiled
    assert all("cuda" not in f"{one['case']} {one['method']}" for one in rows)
