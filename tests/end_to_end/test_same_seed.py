"""Given the same table and data, a seed repeats candidates and predicted front exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.service import Service
from tests.toy_search import toy_search

SEARCH = toy_search(
    predictor="ensemble",
    batch=4,
    seed=7,
)


def _run(folder: Path, data: Path, tables: list[Path]) -> dict[str, Any]:
    """A search with its training in a service of its own, until its front is complete."""
    service = Service(folder)
    service.start()
    nas = service.client
    try:
        nas.add_device("here", this_machine=True)
        for table in tables:
            nas.upload_table(table)
        nas.wait(nas.upload_dataset("toy", data)["job"]["id"], timeout_s=240)
        search = nas.submit_search(**SEARCH)["id"]
        before = {"queued", "profiling", "training", "searching"}
        service.wait_until(lambda: nas.search(search)["state"] not in before, 560)
        assert nas.search(search)["problem"] is None
        return {
            "versions": nas.search(search)["facts"]["tables"],
            "candidates": nas.get(f"/v1/searches/{search}/evaluations")["items"],
            "front": nas.front(search)["front"],
            "limit_ms": nas.search(search)["facts"]["limit_ms"],
        }
    finally:
        service.stop()


@pytest.mark.slow
def test_a_seed_repeats_candidates_and_front_from_the_same_table(
    tmp_path: Path, toy_arrays: Path, prepared: Path
) -> None:
    tables = sorted(prepared.glob("*.jsonl"))
    assert len(tables) == 2
    first, second = (_run(tmp_path / name, toy_arrays, tables) for name in ("first", "second"))
    assert set(first["versions"]) == {one.stem for one in tables}
    assert second["versions"] == first["versions"]
    assert second["limit_ms"] == first["limit_ms"]
    assert second["candidates"] == first["candidates"]
    assert second["front"] == first["front"]
    assert len(first["candidates"]) == 8
