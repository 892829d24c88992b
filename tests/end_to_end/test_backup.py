"""A backup that was made in the middle of a search: put back elsewhere, the search goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search


def _nas(var_dir: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nas_service.cli", *command],
        env={**os.environ, "NAS_VAR_DIR": str(var_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_search_goes_on_from_a_backup_and_ends_as_it_would_have(
    prepared: Path, tmp_path: Path
) -> None:
    asked = toy_search(n_queries=16, max_latency_ms=5.0, precisions=["fp32"], measuring_budget=0)
    first = Service(copied(prepared, tmp_path / "var"))
    first.start()
    nas = first.client
    search = nas.submit_search(**asked)["id"]

    def told(service: Service) -> list[dict[str, Any]]:
        items = service.client.get(f"/v1/searches/{search}/evaluations")["items"]
        return [{k: one[k] for k in ("number", "architecture", "accuracy")} for one in items]

    try:
        first.wait_until(lambda: len(told(first)) >= 4, 240)
        said = _nas(tmp_path / "var", "backup", str(tmp_path / "backup"))
        assert said.startswith(f"backed up to {tmp_path / 'backup'}: ")
        nas.wait(search, timeout_s=400)
        whole = told(first)
    finally:
        first.stop()
    said = _nas(tmp_path / "other", "restore", str(tmp_path / "backup"))
    assert said.startswith(f"restored {tmp_path / 'other'} as it was at ")
    other = Service(tmp_path / "other")
    other.start()
    try:
        assert len(told(other)) >= 4
        other.client.wait(search, timeout_s=400)
        assert told(other) == whole
        (winner,) = other.client.winners(search)
        assert winner["state"] == "measured"
    finally:
        other.stop()
