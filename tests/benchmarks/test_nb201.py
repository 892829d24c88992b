"""The benchmark's measures by hand, and a small run on the real tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import nb201, search
from benchmarks.run import main


def test_the_dominated_area_by_hand() -> None:
    cost, accuracy = np.array([0.0, 1.0, 2.0]), np.array([0.7, 0.6, 0.9])
    # (0, .7) dominates 3 x .1 above .6, (2, .9) adds 1 x .2; the middle one is dominated
    assert nb201.dominated(cost, accuracy, 3.0, 0.6) == pytest.approx(0.3 + 0.2)
    assert nb201.front(cost, accuracy).tolist() == [0, 2]
    assert nb201.dominated(cost, accuracy, 3.0, 0.95) == 0.0


def test_the_space_has_one_cell_a_class_and_no_device_twice(bench_data: Path) -> None:
    known = nb201.cells(bench_data)
    assert len(known.genotypes) == 4929
    assert np.array_equal(known.of(known.genotypes), np.arange(4929))
    costs = nb201.devices(bench_data, known.index)
    assert "help/pixel3" in costs
    # HELP's pixel3 and fpga columns are HW-NAS-Bench's on CIFAR-10
    assert not any("cifar10/pixel3" in name for name in costs)
    values = np.stack(list(costs.values()))
    apart = np.abs(np.log(values[:, None]) - np.log(values[None])).max(axis=2)
    assert (apart + np.eye(len(values)) > 1e-4).all()


def test_guided_search_finds_more_of_the_front_than_random(
    bench_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rows.json"
    arguments = ["--data", str(bench_data), "--device", "1080ti_1", "--task", "cifar100"]
    arguments += ["--method", "guided", "--method", "random", "--queries", "60"]
    arguments += ["--seeds", "2", "--peer-seeds", "2", "--jobs", "2", "--out", str(out)]
    assert search.main(arguments) == 0
    rows = json.loads(out.read_text())
    assert set(rows[0]) == {
        "benchmark", "case", "method", "metric", "n", "value", "std", "seeds",
        "machine", "versions",
    }  # fmt: skip
    share = {row["method"]: row["value"] for row in rows if row["metric"] == "share"}
    assert share["guided"] > share["random"] + 0.05
    assert [r["value"] for r in rows if r["metric"] == "repeats" and r["method"] == "guided"] == [0]


def test_a_folder_without_tables_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main("search", ["--data", str(tmp_path)]) == 1
    assert f"{tmp_path / 'nasbench201.parquet'} does not exist" in capsys.readouterr().err
