"""A search on a runtime whose files are converted, from a table of that runtime to its files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lookup_tables.runtimes.registry import runtime_versions
from nas_service.compilation import toolchains
from nas_service.settings import Settings
from tests.prepared import copied
from tests.service import Service
from tests.tools import lacks
from tests.toy_search import toy_search

SEARCH = toy_search(
    n_queries=6,
    measuring_budget=0,
    max_latency_ms=50.0,
)


def _library_in_zip(content: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return set(archive.namelist()) == {"model.so", "inputs.json"}


def _executorch_program(content: bytes) -> bool:
    return content[4:8] == b"ET12"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runtime", "precision", "suffix", "is_its"),
    [
        ("tvm", "fp32", ".tvm.zip", _library_in_zip),
        # its converter takes a quarter of a minute a network
        pytest.param(
            *("executorch", "int8", ".pte", _executorch_program), marks=pytest.mark.matrix
        ),
    ],
)
def test_a_search_for_one_converted_runtime_alone_ends_in_its_files(
    runtime: str,
    precision: str,
    suffix: str,
    is_its: Callable[[bytes], bool],
    tmp_path: Path,
    prepared: Path,
) -> None:
    told = toolchains.status(toolchains.toolchain(runtime), Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    name = f"{runtime}:{precision}"
    service = Service(copied(prepared, tmp_path / "var"))
    service.start()
    nas = service.client
    try:
        _table_of(nas, runtime, precision, tmp_path / "table.jsonl")
        search = nas.submit_search(**SEARCH, precisions=[name])["id"]
        nas.wait(search, timeout_s=560)

        front = nas.front(search)["front"]
        assert {one["precision"] for one in front} == {name}
        winners = nas.winners(search)
        assert winners
        for winner in winners:
            _assert_certified_file(nas, winner, name, is_its, tmp_path / f"model{suffix}")
    finally:
        service.stop()


def _assert_certified_file(
    nas: Any, winner: dict[str, Any], name: str, is_its: Callable[[bytes], bool], saved: Path
) -> None:
    (row,) = winner["results"]
    runtime, precision = name.split(":")
    assert row["target"].startswith(f"here/{runtime}-{runtime_versions()[runtime]}/{precision}/")
    assert row["parity_agreement"] > 0.9, row
    assert row["measured_latency_ms"] > 0
    # 50 ms are far away for images of 8x8 pixels, however busy the machine is
    assert row["verdict"] == "certified", json.dumps(row, indent=1)
    nas.download(winner["artifacts"][row["file"]], saved)
    assert row["file"].endswith(saved.suffixes[-1])
    assert is_its(saved.read_bytes())
    assert saved.stat().st_size == row["measured_size_bytes"]


def _table_of(nas: Any, runtime: str, precision: str, file: Path) -> None:
    """The table of ONNX Runtime, said to be the other's: converting seventeen networks to measure
    them takes a quarter of an hour."""
    targets = nas.get("/v1/devices/here/targets")
    (target,) = (one for one in targets if one["precision"] == precision)
    newest = nas.get("/v1/lookup-tables", target_id=target["id"])["items"][0]
    lines = nas.fetch(f"/v1/lookup-tables/{newest['id']}/content").decode().splitlines()
    header = json.loads(lines[0])
    version = runtime_versions()[runtime]
    header["target"] |= {"runtime": runtime, "runtime_version": version}
    file.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    nas.upload_table(file)
