"""A search on a runtime whose files are converted, from a table of that runtime to its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lookup_tables.runtimes import runtime_versions
from nas_service.compilation import toolchains
from nas_service.settings import Settings
from tests.prepared import copied
from tests.service import Service
from tests.tools import lacks
from tests.toy_search import toy_search

SEARCH = toy_search(
    precisions=["executorch:int8"],
    n_queries=6,
    measuring_budget=0,
    max_latency_ms=50.0,
)


@pytest.mark.slow
def test_a_search_for_executorch_alone_ends_in_its_files(tmp_path: Path, prepared: Path) -> None:
    told = toolchains.status(toolchains.EXECUTORCH, Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    service = Service(copied(prepared, tmp_path / "var"))
    service.start()
    nas = service.client
    try:
        _table_of_executorch(nas, tmp_path / "table.jsonl")
        search = nas.submit_search(**SEARCH)["id"]
        nas.wait(search, timeout_s=560)

        front = nas.front(search)["front"]
        assert {one["precision"] for one in front} == {"executorch:int8"}
        (winner,) = nas.winners(search)
        (row,) = winner["results"]
        assert row["target"].startswith(f"here/executorch-{runtime_versions()['executorch']}/int8/")
        assert row["parity_agreement"] > 0.9, row
        assert row["measured_latency_ms"] > 0
        # 50 ms are far away for images of 8x8 pixels, however busy the machine is
        assert row["verdict"] == "certified", row
        saved = tmp_path / "model.pte"
        nas.download(winner["artifacts"][row["file"]], saved)
        assert row["file"].endswith(".pte")
        assert saved.read_bytes()[4:8] == b"ET12"  # what an ExecuTorch program is known by
        assert saved.stat().st_size == row["measured_size_bytes"]
    finally:
        service.stop()


def _table_of_executorch(nas: Any, file: Path) -> None:
    """The table of ONNX Runtime's int8, said to be ExecuTorch's: converting seventeen networks to
    measure them takes a quarter of an hour."""
    targets = nas.get("/v1/devices/here/targets")
    (target,) = (one for one in targets if one["precision"] == "int8")
    (table,) = nas.get("/v1/lookup-tables", target_id=target["id"])["items"]
    lines = nas.fetch(f"/v1/lookup-tables/{table['id']}/content").decode().splitlines()
    header = json.loads(lines[0])
    version = runtime_versions()["executorch"]
    header["target"] |= {"runtime": "executorch", "runtime_version": version}
    file.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    nas.upload_table(file)
