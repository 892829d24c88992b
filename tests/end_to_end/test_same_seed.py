"""Given the same table and data, a seed repeats candidates and predicted front exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.service import Service
from tests.toy_search import toy_search

SEARCH = toy_search(
    batch=4,
    seed=7,
)


def _run(folder: Path, data: Path, tables: list[bytes]) -> dict[str, Any]:
    """A whole search in a service of its own; without tables it makes some."""
    service = Service(folder)
    service.start()
    nas = service.client
    try:
        nas.add_device("here", this_machine=True)
        for number, content in enumerate(tables):
            (folder / f"{number}.jsonl").write_bytes(content)
            nas.upload_table(folder / f"{number}.jsonl")
        nas.wait(nas.upload_dataset("toy", data)["job"]["id"], timeout_s=240)
        search = nas.submit_search(**SEARCH)["id"]
        nas.wait(search, timeout_s=560)
        versions = nas.search(search)["facts"]["tables"]
        return {
            "versions": versions,
            "tables": [nas.fetch(f"/v1/lookup-tables/{one}/content") for one in versions],
            "candidates": nas.get(f"/v1/searches/{search}/candidates")["items"],
            "front": nas.front(search)["front"],
            "limit_ms": nas.search(search)["facts"]["limit_ms"],
        }
    finally:
        service.stop()


@pytest.mark.slow
def test_a_seed_repeats_candidates_and_front_from_the_same_table(
    tmp_path: Path, toy_arrays: Path
) -> None:
    first = _run(tmp_path / "first", toy_arrays, [])
    second = _run(tmp_path / "second", toy_arrays, first["tables"])
    assert second["versions"] == first["versions"]
    assert second["limit_ms"] == first["limit_ms"]
    assert second["candidates"] == first["candidates"]
    assert second["front"] == first["front"]
    assert len(first["candidates"]) == 8
