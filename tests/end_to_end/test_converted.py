"""A search on a runtime whose files are converted: its tables come from whole networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_service.compilation import toolchains
from nas_service.settings import Settings
from nas_service.worker.workflows import N_TRANSFERRED
from tests.service import Service
from tests.tools import lacks

SEARCH: dict[str, Any] = {
    "dataset": "toy",
    "space": "mbconv",
    "device": "here",
    "precisions": ["executorch:int8"],
    "n_initial": 10,
    "n_holdout": 3,
    "n_queries": 6,
    "batch": 2,
    "n_winners": 1,
    "n_probes": 2,
    "measuring_budget": 2,
    "profile_budget_s": 8,
    "max_latency_ms": 50.0,
    "seed": 3,
    "training": {"epochs": 1, "finetune_epochs": 1, "batch": 16},
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_for_executorch_alone_ends_in_its_files(tmp_path: Path, toy_arrays: Path) -> None:
    told = toolchains.status(toolchains.EXECUTORCH, Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        nas.add_device("here", this_machine=True)
        nas.wait(nas.upload_dataset("toy", toy_arrays)["job"]["id"], timeout_s=240)
        search = nas.submit_search(**SEARCH)["id"]
        nas.wait(search, timeout_s=800)
        (version,) = nas.search(search)["facts"]["tables"]
        table = nas.get(f"/v1/lookup-tables/{version}")
        (target,) = (
            one for one in nas.get("/v1/devices/here/targets") if one["id"] == table["target_id"]
        )
        assert target["key"].startswith("here/executorch-")
        assert target["precision"] == "int8"
        assert table["provenance"]["transfer"]["n_networks"] == N_TRANSFERRED
        front = nas.front(search)["front"]
        assert {one["precision"] for one in front} == {"executorch:int8"}
        (winner,) = nas.winners(search)
        (row,) = winner["results"]
        assert row["target"] == target["key"]
        assert row["parity_agreement"] > 0.9, row
        assert row["measured_latency_ms"] > 0
        # 50 ms are far away for images of 8x8 pixels, however busy the machine is
        assert row["verdict"] == "certified", row
        assert row["file"].endswith(".pte")
        saved = tmp_path / "model.pte"
        nas.download(winner["artifacts"][row["file"]], saved)
        assert saved.read_bytes()[4:8] == b"ET12"  # the file identifier of an ExecuTorch program
        assert saved.stat().st_size == row["size_bytes"]
    finally:
        service.stop()
