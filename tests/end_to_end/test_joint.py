"""One search over architectures, precisions, recipes and runtimes; the front may mix them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nas_service.client import Client
from nas_service.compilation import toolchains
from nas_service.settings import Settings
from tests.bundles import list_anew
from tests.service import Service
from tests.tools import lacks
from tests.toy_search import toy_search

NARROW = "fp32+width=0.75"
NAMES = ["fp32", "int8", "openvino:bf16", "openvino:int8", "int8+qat", NARROW]
SEARCH = toy_search(
    precisions=NAMES,
    measuring_budget=3,
    profile_budget_s=20,
    max_latency_ms=5.0,
)


@pytest.mark.slow
def test_runtimes_are_searched_with_the_architecture(tmp_path: Path, toy_arrays: Path) -> None:
    told = toolchains.status(toolchains.toolchain("openvino"), Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        # half of the blocks have gates, which need Sigmoid: one architecture in sixteen has none
        nas.add_device("here", this_machine=True, unsupported_operators=["Sigmoid"])
        nas.wait(nas.upload_dataset("toy", toy_arrays)["job"]["id"], timeout_s=240)
        search = nas.submit_search(**SEARCH)["id"]
        nas.wait(search, timeout_s=600)
        targets = {one["key"] for one in nas.get("/v1/devices/here/targets")}
        assert sum("/openvino-" in key for key in targets) == 2
        told_of = nas.get(f"/v1/searches/{search}")["facts"]["operator_check"]
        assert told_of["unsupported_operators"] == ["Sigmoid"]
        assert told_of["dropped_share"] == pytest.approx(15 / 16, abs=0.03)
        front = nas.front(search)
        for one in front["front"]:
            gates = [v for k, v in one["architecture"]["decisions"].items() if k.endswith(".se")]
            assert gates == [False] * 4
        by_name = {one["precision"]: one["target"] for one in front["front"]}
        assert set(by_name) <= set(NAMES)
        assert all(("openvino" in name) == ("/openvino-" in by_name[name]) for name in by_name)
        (winner,) = nas.winners(search)
        rows = {row["precision"]: row for row in winner["results"]}
        assert list(rows) == NAMES
        for name, row in rows.items():
            assert row["parity_agreement"] > 0.9, row
            assert row["measured_latency_ms"] > 0
            assert ("/openvino-" in row["target"]) == name.startswith("openvino")
        # both int8 files are made of the same quantised graph
        assert rows["int8"]["measured_accuracy"] == pytest.approx(
            rows["openvino:int8"]["measured_accuracy"], abs=0.06
        )
        narrow = rows[NARROW]
        assert narrow["macs"] < rows["fp32"]["macs"]
        assert narrow["measured_size_bytes"] < rows["fp32"]["measured_size_bytes"]
        # sizes are known beforehand: what was priced is what ships, but for the graph's own text
        assert narrow["measured_size_bytes"] == pytest.approx(
            narrow["predicted_size_bytes"], rel=0.1
        )
        names = {rows["int8+qat"]["file"], narrow["file"]}
        assert names == {"qat.int8.onnx", "width=0.75.fp32.onnx"}
        assert names < set(winner["artifacts"])
        predictor = nas.get(f"/v1/searches/{search}")["facts"]["predictor_id"]
        learned = nas.get(f"/v1/predictors/{predictor}")["shipping"]["models"]
        assert set(learned) == {"fp32", "int8", "qat.int8", "width=0.75.fp32"}
        trails = {one["deployment"]: one for one in nas.lineage(search)}
        assert list(trails) == NAMES
        for name, trail in trails.items():
            stages = {one["stage"]: one for one in trail["stages"]}
            assert {one["state"] for one in trail["stages"]} == {"done"}
            assert stages["compiled"]["artifact"] == winner["artifacts"][rows[name]["file"]]
            assert stages["measured"]["latency_ms"] == rows[name]["measured_latency_ms"]
            assert stages["certified"]["verdict"] == rows[name]["verdict"]
        assert trails["int8+qat"]["stages"][1]["name"] == "qat.weights.pt"
        made_by = {
            one["name"]: list(one["lineage"]["sources"]["recipe"])
            for one in nas.every("/v1/artifacts", owner=winner["id"])
            if one["name"].endswith(".onnx")
        }
        assert made_by == {
            "fp32.onnx": ["finetune"],
            "int8.onnx": ["finetune", "static_int8"],
            "qat.int8.onnx": ["finetune", "qat", "static_int8"],
            "width=0.75.fp32.onnx": ["width", "finetune"],
        }
        file = rows["openvino:int8"]["file"]
        assert file.endswith(".openvino.zip")
        saved = tmp_path / "model.zip"
        nas.download(winner["artifacts"][file], saved)
        with zipfile.ZipFile(saved) as archive:
            assert set(archive.namelist()) == {"model.xml", "model.bin"}
        _verify_bundle(nas, search, tmp_path)
        certificates = nas.get(f"/v1/searches/{search}/certificates")["items"]
        assert {one["body"]["precision"] for one in certificates} == set(NAMES)
    finally:
        service.stop()


def _verify_bundle(nas: Client, search: str, tmp_path: Path) -> None:
    """What is in the bundle is checked by its own script, each file as if it were published."""
    (stored,) = [
        one for one in nas.every("/v1/artifacts", owner=search) if one["name"] == "bundle.zip"
    ]
    nas.download(stored["id"], tmp_path / "bundle.zip")
    folder = tmp_path / "bundle"
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(folder)
    report = json.loads((folder / "report.json").read_text())
    for row in report["files"]:
        row["published"] = True
    (folder / "report.json").write_text(json.dumps(report))
    list_anew(folder)
    done = subprocess.run(
        [sys.executable, str(folder / "verify.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("fp32.onnx", "int8.onnx", "qat.int8.onnx", "width=0.75.fp32.onnx"):
        (line,) = [one for one in done.stdout.splitlines() if one.startswith(f"winner0/{name} ")]
        assert " ok " in line
